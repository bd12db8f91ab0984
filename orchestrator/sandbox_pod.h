/*
 * One sandbox: bubblewrap with the runner as PID 1 in it, a sidecar beside it,
 * and what holds both together: a network namespace, a cgroup, two sockets.
 *
 *   CREATED ─▶ ANNOUNCED ─▶ DEAD ─▶ DESTROYING ─▶ (freed)
 *      └───────────┴──────────────────▲
 *
 * CREATED    all is started; the streams are handed over from the loop. Those
 *            of a pod that is taken up come when its sides connect
 * ANNOUNCED  the streams belong to the caller
 * DEAD       it failed, which was told, or it was killed
 * DESTROYING waits until the kernel has let go of everything
 */
#pragma once

#include <stdbool.h>
#include <sys/queue.h>

#include "orchestrator/executor.h"
#include "orchestrator/sandbox_parts.h"

TAILQ_HEAD(sandbox_pods, executor_pod);

/* As executor_ops; the pod is in list until it is freed. One that cannot be
 * made is one that fails at once. */
int sandbox_pod_new(const struct sandbox_shared *shared,
		    struct sandbox_pods *list, const struct executor_spec *spec,
		    const struct executor_events *events, void *ctx,
		    struct executor_pod **out) MUST_CHECK;
json_t *sandbox_pod_describe(const struct executor_pod *pod);
/* As executor_ops.adopt; one whose processes are gone fails at once. */
int sandbox_pod_adopt(const struct sandbox_shared *shared,
		      struct sandbox_pods *list,
		      const struct executor_spec *spec, const json_t *described,
		      const struct executor_events *events, void *ctx,
		      struct executor_pod **out) MUST_CHECK;
/* What its processes share with all others of this executor. */
const struct sandbox_shared *sandbox_pod_shared(const struct executor_pod *pod);
void sandbox_pod_kill(struct executor_pod *pod);
bool sandbox_pod_oom_killed(struct executor_pod *pod);
void sandbox_pod_measure(struct executor_pod *pod, struct cgroup_usage *out);
void sandbox_pod_destroy(struct executor_pod *pod, void (*done)(void *ctx),
			 void *ctx);
/* destroy that waits: at the end of the process, when no loop runs. NULL is
 * fine. */
void sandbox_pod_free(struct executor_pod *pod);
