/*
 * This orchestrator as the backend knows it: claims executions, runs each in
 * a pod, keeps their leases.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"
#include "orchestrator/capability.h"

struct agent;
struct allow_list;
struct backend_client;
struct event_base;
struct executor_set;
struct guard_config;
struct journal;
struct sampler;
struct wal_replay;

/* Pods in CREATING at a time: more would only slow each other down. */
#define AGENT_CREATING_PER_CORE 4
/* Pods that are removed do not take a slot, but there is an end to them. */
#define AGENT_PODS_PER_SLOT 2

/* agent_stop(): running scripts have this long (grace period included), then
 * they are killed, and after the second time what is left is left. Together
 * less than the 10 s of `docker stop`. */
#define AGENT_STOP_MS 7000
#define AGENT_KILL_MS 2000

struct agent_config {
	struct event_base *base;
	struct backend_client *client;
	struct executor_set *executors;
	const struct allow_list *egress_allow; /* pod.h */
	struct sampler *sampler;
	const struct guard_config *guard; /* copied */
	struct capability_offer offer;    /* to capabilities */
	const char *name;
	uint32_t slots;     /* executions at a time */
	const char *labels; /* claims.h */
	struct journal *journal;
};

/* Takes up the pods of earlier processes, as past has them; that is valid
 * during the call only. 0 or -ENOMEM. */
int agent_new(struct agent **out, const struct agent_config *config,
	      const struct wal_replay *past) MUST_CHECK;
void agent_free(struct agent *a);
DEFINE_CLEANUP(struct agent *, agent_free)

/* The pods that were taken up, which nobody must reap. Valid until it is freed.
 */
const char *const *agent_spare(const struct agent *a, size_t *n);
/* Tells the backend of them, and what has become of the others, and begins to
 * claim. 0 or -ENOMEM. */
int agent_begin(struct agent *a) MUST_CHECK;
/* journal_problem() has changed: claims while there is none. Not from within
 * a callback of the agent's. */
void agent_check_claims(struct agent *a);

/* executor_ops.problem() of one has changed. From the loop. */
void agent_check_executors(struct agent *a);

/*
 * Claims no more; gives back what has not begun; ends what runs, and reports
 * it; then calls done, from the loop, within both times. Called
 * again: kills at once.
 */
void agent_stop(struct agent *a, void (*done)(void *ctx), void *ctx);
