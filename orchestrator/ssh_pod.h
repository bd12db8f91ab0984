/*
 * One job's place on a host: a session with the runner in it; in tunnel mode a
 * forwarded port and a sidecar beside us, in direct mode a seat of the gateway.
 *
 *   WAITING ─▶ STARTING ─▶ FORWARDING ─▶ UP ─▶ CLOSING ─▶ (freed)
 *      ▲──────────┘ (no session left on this connection)
 *
 * WAITING     for a connection
 * STARTING    the runner is started over it
 * FORWARDING  the host is asked for the ports that it needs
 * UP          the streams belong to the caller
 * CLOSING     destroyed: the runner's end and the sidecar's are waited for
 */
#pragma once

#include <stdbool.h>
#include <sys/queue.h>

#include "common/macro.h"
#include "orchestrator/executor.h"

/* The runner needs its grace for none of what it kills now. */
#define SSH_POD_CLOSE_MS 3000
#define SSH_POD_REASON_BYTES 768

struct ssh_pool;

/* What all pods of the executor share. */
struct ssh_pod_shared {
	struct event_base *base;
	struct ssh_pool *pool;
	const char *run_dir;
	const char *gateway_url; /* NULL: none */
	const char *log_level, *log_format;
	int sidecar_fd, backend_fd, null_fd;
	bool root;
};

TAILQ_HEAD(ssh_pods, executor_pod);

/* As executor_ops; the pod is in list until it is freed. */
int ssh_pod_new(const struct ssh_pod_shared *shared, struct ssh_pods *list,
		const struct executor_spec *spec,
		const struct executor_events *events, void *ctx,
		struct executor_pod **out) MUST_CHECK;
void ssh_pod_place(struct executor_pod *pod, struct executor_place *out);
void ssh_pod_kill(struct executor_pod *pod);
void ssh_pod_destroy(struct executor_pod *pod, void (*done)(void *ctx),
		     void *ctx);
/* At once: at the end of the process. */
void ssh_pod_free(struct executor_pod *pod);
