/*
 * The queue in the store: leases on jobs, given with an epoch, extended by
 * heartbeats, given back, or ended by a result or their time. See store.h for
 * how operations work.
 */
#pragma once

#include "backend/job_state.h"
#include "backend/store.h"
#include "common/macro.h"

#define STORE_HEARTBEAT_MAX 4096 /* executions in one heartbeat */

struct store_claim {
	const char *execution; /* id_new("ex", …) for the new execution */
	const char *agent;
	const char *executors; /* "docker,sandbox"; "auto" jobs always match */
	const char *labels;    /* of the agent, normal form; NULL: none */
	int64_t lease_ms;
};
/*
 * Claims the queued job whose turn it is of those that match: result->claim.
 * STORE_E_NOT_FOUND when none does, or when the agent is drained or accepts
 * nothing (store_agent.h). A claim whose completion nobody hears is undone by
 * its lease.
 */
int store_queue_claim(struct store *s, const struct store_claim *claim,
		      struct store_done done) MUST_CHECK;

struct store_lease {
	const char *execution;
	int64_t epoch;
};

struct store_give_back {
	struct store_lease lease;
	bool unbegun; /* its agent knows that nothing of it was run, although
		       * it was told to be started */
};
/* A claimed job that was not begun goes back to the queue, at its old
 * place; one whose cancel was requested is cancelled. result->job;
 * STORE_E_STALE_EPOCH; STORE_E_STATE once it was started. */
int store_queue_give_back(struct store *s, const struct store_give_back *give,
			  struct store_done done) MUST_CHECK;

struct store_started {
	struct store_lease lease;
	const char *pod, *executor;
};
/* claimed → running; repeating it is fine. result->job;
 * STORE_E_STALE_EPOCH. */
int store_queue_started(struct store *s, const struct store_started *started,
			struct store_done done) MUST_CHECK;

/* How an agent is, as it said itself. */
struct store_agent_status {
	bool given; /* false: it said nothing of it */
	bool accepting;
	const char *code, *problem;       /* why it accepts nothing, or NULL */
	struct store_blob snapshot, pods; /* JSON, or none */
};

struct store_heartbeat {
	const char *agent;
	const struct store_lease *leases;
	size_t n; /* <= STORE_HEARTBEAT_MAX */
	int64_t lease_ms;
	struct store_agent_status status;
};
/* Keeps the agent's status, and extends the leases to now + lease_ms.
 * result->heartbeat: what the agent has to stop. */
int store_queue_heartbeat(struct store *s,
			  const struct store_heartbeat *heartbeat,
			  struct store_done done) MUST_CHECK;

struct store_complete {
	struct store_lease lease;
	enum job_state state; /* an end state; lost, of what was not started:
			       * as store_queue_give_back() */
	const char *reason;   /* may be NULL */
	bool has_exit_code;
	int exit_code;
	int signal;
	bool oom_killed;
	struct store_usage usage;
	struct store_blob telemetry; /* JSON object, or none */
	int64_t log_dropped_bytes;   /* that the agent did not send, because the
				    * log was full: added to the job's */
	struct store_audit audit;
};
/* result->job, which is queued again where it is to be retried; a repeat with
 * the same epoch is 0 with result->repeated and the job as it is;
 * STORE_E_STALE_EPOCH. */
int store_queue_complete(struct store *s, const struct store_complete *complete,
			 struct store_done done) MUST_CHECK;

/*
 * Ends the leases that ran out before now_ms: not started → queued (or
 * cancelled, where that was requested), started → lost, or queued where it is
 * to be retried. result->jobs: the jobs concerned, at most STORE_LIST_MAX (call
 * again when it is that many), with result->next_ms: when the next lease runs
 * out, 0 for none.
 */
int store_queue_expire(struct store *s, int64_t now_ms,
		       struct store_done done) MUST_CHECK;

/*
 * Lets the jobs be claimed that had to wait until now_ms for their next try.
 * result->jobs, and result->next_ms, as store_queue_expire().
 */
int store_queue_due(struct store *s, int64_t now_ms,
		    struct store_done done) MUST_CHECK;

/* After a restart: gives every lease that is out lease_ms from now, so that
 * agents can come back before store_queue_expire() ends them. */
int store_queue_grace(struct store *s, int64_t lease_ms,
		      struct store_done done) MUST_CHECK;

/* The same of an agent that has started again, and has nothing but these: the
 * next store_queue_expire() ends its other leases. */
int store_queue_recover(struct store *s, const struct store_heartbeat *left,
			struct store_done done) MUST_CHECK;
