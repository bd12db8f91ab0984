/*
 * Shared by the files of the agent: agent.c (claims, the guard, its life),
 * agent_beat.c (what the backend is told of its jobs, and says), agent_job.c
 * (one job on its way to a pod) and agent_recover.c (what an earlier process
 * has begun). Nobody else includes it.
 */
#pragma once

#include <stdbool.h>
#include <sys/queue.h>

#include "common/wal/record.h"
#include "orchestrator/agent.h"
#include "orchestrator/outcome.h"
#include "orchestrator/recovery.h"

struct admission;
struct assignment;
struct claims;
struct completion;
struct event;
struct heartbeat;
struct heartbeat_ops;
struct journal_entry;
struct pod;
struct pod_ops;

/*
 * An execution that is with this agent.
 *
 *   WAITING ─▶ IN_POD ─▶ GONE
 *      └─────▶ REFUSED ───▲
 *   PAST ───────▲
 *
 * WAITING: for its turn to be made a pod. PAST: an earlier process began it,
 * and there is no pod of it any more; that is told once the backend knows us.
 * REFUSED: it gets no pod; only that is told. GONE: freed at the end of the
 * loop turn.
 */
enum agent_job_state {
	AGENT_WAITING,
	AGENT_IN_POD,
	AGENT_PAST,
	AGENT_REFUSED,
	AGENT_GONE,
};

struct agent_job {
	TAILQ_ENTRY(agent_job) link;
	struct agent *agent;
	enum agent_job_state state;
	struct assignment *a; /* while it has no pod */
	struct pod *pod;
	struct journal_entry *journal; /* while it has no pod */
	struct recovery_plan plan;     /* PAST */
	struct completion *completion; /* REFUSED */
	enum wal_type ending;          /* what the journal is told then */
	bool ended;  /* the backend knows its end: no lease to keep */
	bool beaten; /* in the heartbeat that is under way */
};

TAILQ_HEAD(agent_jobs, agent_job);

struct agent {
	struct agent_config config;
	struct claims *claims;
	struct heartbeat *heartbeat;
	struct admission *admission;
	bool told; /* the backend knows what keeps jobs from being started */
	struct agent_jobs jobs; /* in the order of their claims */
	bool recovered;         /* the backend knows what is left of the past */
	char **spare;           /* pods that were taken up */
	size_t n_spare;
	unsigned int creating, creating_max; /* pods in CREATING */
	unsigned int pods;  /* all there are; those that ended still go away */
	struct event *turn; /* end of the loop turn: reap, start more */
	struct event *stop_timer;
	unsigned int stops; /* agent_stop(), and its deadlines */
	void (*stopped)(void *ctx);
	void *stopped_ctx;
};

void agent_wake(struct agent *agent);

/* NULL when there is no such execution that has not ended. */
struct agent_job *agent_find(struct agent *agent, const char *execution);
/* The last one of the list. NULL without memory: a is freed. */
struct agent_job *agent_job_new(struct agent *agent, struct assignment *a);
void agent_job_free(struct agent_job *j);
void agent_job_bury(struct agent_job *j);
const char *agent_job_execution(const struct agent_job *j);
int64_t agent_job_epoch(const struct agent_job *j);

/* It ends without a pod: so, or given back. unbegun: nobody was ever told to
 * run it. */
void agent_job_refuse(struct agent_job *j, enum outcome_cause cause,
		      const char *why);
void agent_job_release(struct agent_job *j, bool unbegun, const char *why);

/* The user wants it ended. */
void agent_job_cancel(struct agent_job *j, const char *reason);

/* Why no pod of its kind can be made for now, a sentence; NULL: one can. */
const char *agent_job_hindrance(const struct agent_job *j);
/* Makes its pod; takes up the one that there is. */
void agent_job_start(struct agent_job *j);
void agent_job_adopt(struct agent_job *j, const struct wal_execution *past);

/* What has not begun and cannot begin, since the guard or its executor says no:
 * gives it back, once the backend knows that it should give no more of it. */
void agent_check_waiting(struct agent *agent);

extern const struct heartbeat_ops agent_heartbeat_ops;

/* What an earlier process has begun, before anything is claimed. 0 or -ENOMEM.
 */
int agent_take_up(struct agent *agent, const struct wal_replay *past);
/* The backend knows us: what came to nothing is told. */
void agent_settle_past(struct agent *agent);
