/*
 * Shared by the files of the agent: agent.c (its jobs, their pods, its life)
 * and agent_beat.c (what the backend is told of them, and says). Nobody else
 * includes it.
 */
#pragma once

#include <stdbool.h>
#include <sys/queue.h>

#include "orchestrator/agent.h"

struct admission;
struct assignment;
struct claims;
struct completion;
struct event;
struct heartbeat;
struct heartbeat_ops;
struct pod;

/*
 * An execution that is with this agent.
 *
 *   WAITING ─▶ IN_POD ─▶ GONE
 *      └─────▶ REFUSED ───▲
 *
 * WAITING: for its turn to be made a pod. REFUSED: it gets none; only that is
 * told. GONE: freed at the end of the loop turn.
 */
enum agent_job_state { AGENT_WAITING, AGENT_IN_POD, AGENT_REFUSED, AGENT_GONE };

struct agent_job {
	TAILQ_ENTRY(agent_job) link;
	struct agent *agent;
	enum agent_job_state state;
	struct assignment *a; /* while it has no pod */
	struct pod *pod;
	struct completion *completion; /* REFUSED */
	bool ended;  /* the backend knows its end: no lease to keep */
	bool beaten; /* in the heartbeat that is under way */
};

TAILQ_HEAD(agent_jobs, agent_job);

struct agent {
	struct agent_config config;
	struct claims *claims;
	struct heartbeat *heartbeat;
	struct admission *admission;
	bool told; /* the backend knows whether the guard is open */
	struct agent_jobs jobs;              /* in the order of their claims */
	unsigned int creating, creating_max; /* pods in CREATING */
	unsigned int pods;  /* all there are; those that ended still go away */
	struct event *turn; /* end of the loop turn: reap, start more */
	struct event *stop_timer;
	unsigned int stops; /* agent_stop(), and its deadlines */
	void (*stopped)(void *ctx);
	void *stopped_ctx;
};

/* A job of which the backend does not know the end; NULL: none. */
struct agent_job *agent_find(struct agent *agent, const char *execution);
const char *agent_job_execution(const struct agent_job *j);
int64_t agent_job_epoch(const struct agent_job *j);
/* Freed at the end of the loop turn. */
void agent_job_bury(struct agent_job *j);
/* The user wants it ended. */
void agent_job_cancel(struct agent_job *j, const char *reason);
/* While the guard says no: gives back what has not begun, once the backend
 * knows that it should give no more. */
void agent_check_guard(struct agent *agent);

extern const struct heartbeat_ops agent_heartbeat_ops;
