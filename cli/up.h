/*
 * `cronium up`: backend and orchestrator as processes of their own.
 *
 *   STARTING ──(backend answers /readyz)──▶ READY ──▶ STOPPING ──▶ out
 *       └──(a child ends by itself, a signal)────────────▲
 *
 * Stopping: the orchestrator first, so that it can still tell the backend how
 * its jobs ended; then the backend.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct option_list;
struct place;

struct up_config {
	const struct place *place;
	const char *listen; /* HOST:PORT or "none" */
	const char *tls_cert, *tls_key, *log_level, *log_format, *name;
	const char *rate_forward, *rate_tools;
	uint64_t slots;
	const struct option_list *executors;
	const char *tools_dir, *tools_ca_file;
	const struct option_list *tools_allow;
	const struct option_list *egress_allow;
	const struct option_list *ssh_keys;
	const char *ssh_known_hosts;
	bool embedded; /* ends when nobody needs it */
	int listen_fd; /* RUN/up.sock; taken */
};

/* Runs until it is told to stop. The exit code. */
int up_run(const struct up_config *config);
