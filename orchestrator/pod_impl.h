/*
 * Shared by the files of the pod: pod.c (states, deadlines, life),
 * pod_events.c (what sidecar, runner and executor say) and pod_end.c (every
 * way to end). Nobody else includes it.
 */
#pragma once

#include "common/cgroup_usage.h"
#include "common/id.h"
#include "common/wal/record.h"
#include "orchestrator/log_forward.h"
#include "orchestrator/outcome.h"
#include "orchestrator/pod.h"
#include "orchestrator/telemetry.h"

struct assignment;
struct door;
struct event;
struct executor_events;
struct executor_pod;
struct record;
struct runner_link;
struct sidecar_link;

/* How far the ending of a running script has come. */
enum pod_stopping {
	POD_NOT_STOPPING,
	POD_SIGNALLED, /* SIGTERM is with the runner */
	POD_KILLED,    /* the executor has killed */
};

struct pod {
	enum pod_state state;
	struct pod_config config;
	const struct pod_ops *ops;
	void *ctx;
	char id[ID_MAX_BYTES];
	struct assignment *a;
	struct executor_pod *place; /* NULL: not made, or being destroyed */
	struct event *deadline;     /* of the state */
	enum pod_stopping stopping;
	struct outcome_facts facts;
	char detail[OUTCOME_REASON_MAX_BYTES]; /* facts.detail */
	struct cgroup_usage measured;          /* facts.measured */
	struct cgroup_usage live;              /* as the runner last said */
	struct telemetry telemetry;            /* facts.telemetry */
	char doom[OUTCOME_REASON_MAX_BYTES];   /* it died of this; "" */

	struct sidecar_link *sidecar;
	struct door *door; /* NULL: none, or shut */
	struct runner_link *runner;
	bool sidecar_ready, runner_ready;
	bool start_told, started; /* to the backend; which has committed it */
	bool drained;
	bool runner_done; /* EXIT came, or nothing is expected any more */

	/* ADOPTING */
	bool adopted;
	int64_t started_ms;       /* since when its time counts */
	struct log_position from; /* what the runner need not say again */
	bool runner_back, secrets_back, log_back;
	bool script_started; /* STARTED came, since */

	struct record *record; /* NULL after pod_abandon() */
	bool give_back;        /* released instead of ended */
	enum wal_type ending;  /* what the journal is told in the end */
	json_t *ending_data;   /* and with that; NULL before */
	bool reported, ended, destroyed;
};

/* What executors are given; their context is the pod. */
extern const struct executor_events pod_executor_events;

/* Asserts that the move is legal; the old state's deadline is off. */
void pod_set_state(struct pod *p, enum pod_state state);
void pod_set_deadline(struct pod *p, uint64_t ms);

/* Before STOPPING: there is no orderly end. The first cause that is set is
 * the one that counts. What the runner had sent before it was killed is still
 * read for a while, so that the log has the script's last words. */
void pod_fail(struct pod *p, enum outcome_cause cause, const char *detail);
/* Nothing more comes in or out by the sidecar. */
void pod_drop_sidecar(struct pod *p);
void pod_fail_oom(struct pod *p);
/* Something of the pod died. The executor may know better why, and what the
 * runner had sent may hold an orderly end: both have a moment. */
void pod_set_doom(struct pod *p, const char *reason, uint64_t wait_ms);

/* RUNNING: SIGTERM to the script. */
void pod_end_script(struct pod *p, enum outcome_cause cause,
		    const char *detail);
/* The runner did not end the script in time, so the executor does. */
void pod_kill_script(struct pod *p);

/* The runner has its assignment once all that must be before it is. */
void pod_check_assign(struct pod *p);

/* As pod.c's, without a place. 0 or -ENOMEM. */
int pod_init(struct pod *p, const char *id) MUST_CHECK;
struct pod *pod_alloc(const struct pod_config *config, struct assignment *a,
		      const struct pod_ops *ops, void *ctx);
/* The rest of the script's time. */
void pod_set_timeout(struct pod *p, int64_t started_ms);

/* ADOPTING: what its sides and the backend say. */
void pod_adopt_sidecar(struct pod *p, const char *resumed);
void pod_adopt_runner(struct pod *p, const char *resumed, const char *token);
void pod_adopt_check(struct pod *p);
/* It did not come back in time, or is gone. */
void pod_adopt_miss(struct pod *p);
void pod_adopt_fail(struct pod *p, const char *reason);
/* The runner was never told what to run. */
void pod_give_back(struct pod *p, const char *why);

/* The script's side is over: its log ends here. */
void pod_finish_runner(struct pod *p);
/* Tells how it ended, once both sides are done. */
void pod_report(struct pod *p);
/* The backend knows all there is to know. */
void pod_end(struct pod *p);
void pod_destroy(struct pod *p);
/* Notes what the executor knows, before it is too late to ask. */
void pod_take_stock(struct pod *p);
