/*
 * One pod in Docker: two containers, for egress a network, two control
 * sockets. Made and removed step by step through the Engine API.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/macro.h"
#include "orchestrator/executor.h"

struct docker_api;
struct docker_engine;
struct docker_images;
struct docker_subnets;

/* What all pods of one executor share. */
struct docker_shared {
	const struct executor_config *config;
	struct docker_api *api;
	struct docker_engine *engine;
	uint64_t engine_ends; /* how often its event stream has ended */
	struct docker_subnets *subnets;
	struct docker_images *images;
	const char *sidecar_image;
	char *host_run_dir; /* RUN as the engine's host sees it */
	char *host_backend_dir;
	char *host_sdk_dir; /* NULL where there is none */
	char **host_shares; /* each of config->shares, the same way */
	LIST_HEAD(docker_pods, executor_pod) pods;
};

int docker_pod_new(struct docker_shared *shared,
		   const struct executor_spec *spec,
		   const struct executor_events *events, void *ctx,
		   struct executor_pod **out) MUST_CHECK;
json_t *docker_pod_describe(const struct executor_pod *pod);
int docker_pod_adopt(struct docker_shared *shared,
		     const struct executor_spec *spec,
		     const json_t *description,
		     const struct executor_events *events, void *ctx,
		     struct executor_pod **out) MUST_CHECK;
void docker_pod_place(struct executor_pod *pod, struct executor_place *out);
void docker_pod_kill(struct executor_pod *pod);
bool docker_pod_oom_killed(struct executor_pod *pod);
void docker_pod_destroy(struct executor_pod *pod, void (*done)(void *ctx),
			void *ctx);

/* NULL when there is no such pod. */
struct executor_pod *docker_pod_find(struct docker_shared *shared,
				     const char *name);
/* What the engine's event stream says of one of its containers: action is
 * "oom" or "die", role "sidecar" or "script". */
void docker_pod_on_engine_event(struct executor_pod *pod, const char *action,
				const char *role, const char *exit_code);
/*
 * A ping is over: problem is what docker_engine_problem() says now, since just
 * now where it has changed. Every pod is told when the engine goes away; one
 * that is in doubt what it fails of is told that. Some may be freed.
 */
void docker_pods_on_engine(struct docker_shared *shared, const char *problem,
			   bool changed);
/* The process ends: frees the pod without removing anything; the next start's
 * reap does that. */
void docker_pod_abandon(struct executor_pod *pod);
