/*
 * Inside a pod in Docker: what docker_pod.c (its life), docker_pod_make.c (how
 * it is made) and docker_pod_remove.c (how it is removed) share.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "orchestrator/docker_api.h"
#include "orchestrator/docker_pod.h"
#include "orchestrator/executor.h"

struct control_socket;

#define DOCKER_POD_CALL_TIMEOUT_MS 60000
#define DOCKER_POD_NAME_BYTES 96
#define DOCKER_POD_REASON_BYTES 1024

/*
 *   NETWORK ─▶ SIDECAR ─▶ STARTING ─▶ SCRIPT ─▶ UP ─▶ REMOVING
 *      (egress only)  ╲      ╲           ╲      ╲▶
 *                      ╲▶ FETCHING (an image is missing; then back)
 *   any of them ─▶ FAILED ─▶ REMOVING      (FAILED may be in doubt for a ping)
 *                     ╲▶ UP   (of SCRIPT: the engine went before it could say
 *                              that it had started what runs by now)
 *
 * STARTING starts the sidecar and creates the script's container at the same
 * time; SCRIPT starts the latter.
 */
enum docker_pod_state {
	DOCKER_POD_NETWORK,
	DOCKER_POD_SIDECAR,
	DOCKER_POD_STARTING,
	DOCKER_POD_SCRIPT,
	DOCKER_POD_FETCHING,
	DOCKER_POD_UP,
	DOCKER_POD_FAILED,
	DOCKER_POD_REMOVING,
};

struct executor_pod {
	LIST_ENTRY(executor_pod) link;
	struct docker_shared *shared;
	const struct executor_events *events;
	void *ctx;
	enum docker_pod_state state;
	unsigned int calls; /* under way at the engine */

	bool destroyed; /* by its owner: remove once calls == 0 */
	bool in_doubt;  /* FAILED, but is it the engine? Then of this: */
	char doubt[DOCKER_POD_REASON_BYTES];
	enum docker_pod_state before_doubt;
	uint64_t engine_ends; /* docker_shared's when it was begun */
	bool oom_killed;
	bool sidecar_made, script_made, network_made;
	unsigned int subnet_tries;
	int64_t subnet; /* index in the pool, -1 for none */

	char *name;                          /* pod_… */
	char *dir;                           /* RUN/pods/NAME */
	char sidecar[DOCKER_POD_NAME_BYTES]; /* container names */
	char script[DOCKER_POD_NAME_BYTES];
	char network[DOCKER_POD_NAME_BYTES]; /* "none" without egress */
	unsigned int fetches;                /* images that were missing */
	enum docker_pod_state after_fetch;
	struct executor_spec spec; /* strings are copies */
	struct control_socket *sidecar_socket, *runner_socket;
	struct control_socket *door_socket; /* NULL: no proxy */
	void (*done)(void *ctx);
	void *done_ctx;
};

/* Gives up: tells the pod's owner once. reason is for the user. */
void docker_pod_fail(struct executor_pod *pod, const char *reason);
/* The same for a call that the engine refused: "Docker cannot WHAT: …". */
void docker_pod_fail_call(struct executor_pod *pod, const char *what,
			  const struct docker_reply *reply);
/* The same for what may be the end of the engine: told once it is known whether
 * that is up. Where it is not, nothing is wrong with the job. */
void docker_pod_doubt(struct executor_pod *pod, const char *reason);
/* Calls the engine; takes body. The reply goes through docker_pod_reply(). */
void docker_pod_call(struct executor_pod *pod, const char *method,
		     const char *path, json_t *body, unsigned int timeout_ms,
		     const struct docker_call_ops *ops);
/* Every reply comes through here first. True: the pod goes on. */
bool docker_pod_reply(struct executor_pod *pod);
void docker_pod_set_state(struct executor_pod *pod,
			  enum docker_pod_state state);

/* Asks the engine whether the containers of a pod that is taken up still run;
 * fails it when they do not. */
void docker_pod_look(struct executor_pod *pod);
/* Does what the present state asks for. */
void docker_pod_step(struct executor_pod *pod);
/* Removes what was made, then frees the pod. No call may be under way. */
void docker_pod_remove(struct executor_pod *pod);
void docker_pod_free(struct executor_pod *pod);
