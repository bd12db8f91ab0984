/*
 * `cronium up`: backend and orchestrator as processes of their own, and the
 * gateway where one is asked for.
 *
 *   STARTING ──(backend answers /readyz, gateway listens)──▶ READY ─┐
 *       └──(a child ends by itself, a signal)──▶ STOPPING ──▶ out   │
 *                                                   ▲───────────────┘
 *
 * Stopping: the orchestrator first, so that it can still tell the backend how
 * its jobs ended; then the gateway, whose writes go to the backend; then that.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct option_list;
struct place;

/* All or none. */
struct up_gateway {
	const char *listen; /* HOST:PORT */
	const char *cert, *key, *url;
};

struct up_config {
	const struct place *place;
	const char *listen; /* HOST:PORT or "none" */
	const char *tls_cert, *tls_key, *log_level, *log_format, *name;
	const char *rate_forward, *rate_tools;
	const char *labels; /* of the orchestrator; may be NULL */
	uint64_t slots;
	const struct option_list *executors;
	const char *store, *tools_dir, *tools_ca_file;
	const struct option_list *tools_allow;
	const struct option_list *egress_allow;
	const struct option_list *ssh_keys;
	const char *guard; /* NULL: the default, or $CRONIUM_GUARD's */
	const char *wal_keep_bytes, *wal_keep_days; /* NULL: the defaults */
	const char *ssh_known_hosts;
	const struct option_list *shares; /* as the orchestrator takes them */
	bool share_processes;
	struct up_gateway gateway; /* in place->run/gateway, which is there */
	const char *rate_requests; /* of the gateway */
	bool embedded;             /* ends when nobody needs it */
	int listen_fd;             /* RUN/up.sock; taken */
};

/* Runs until it is told to stop. The exit code. */
int up_run(const struct up_config *config);
