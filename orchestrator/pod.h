/*
 * One pod and the one execution in it, from the claim to the last trace of it:
 * the only place that knows the order of things. Executors make pods, this
 * runs them.
 *
 *   CREATING ─▶ READY ─▶ ASSIGNED ─▶ RUNNING ─▶ STOPPING ─▶ GONE
 *       └─────────┴─────────┴───────────┴─────▶ FAILED ─────▶ GONE
 *                         ADOPTING ─▶ RUNNING | FAILED
 *
 * CREATING  the executor works; each side connects and says READY. The
 *           sidecar is given its assignment at once, while the runner may
 *           still be starting.
 * READY     both sides have said READY; the sidecar's ACK is waited for, then
 *           the backend's word that it knows the execution as started: only
 *           what it knows may run
 * ASSIGNED  the runner has its assignment; STARTED is waited for
 * ADOPTING  another process began it: both sides are waited for, the sidecar's
 *           secrets, and the backend's word how much of the log it has. Only
 *           then the runner is read
 * RUNNING   the script runs, until EXIT
 * STOPPING  the sidecar drains, the log is flushed, the end is reported
 * FAILED    there is no orderly end (the pod broke, or is not wanted any
 *           more): what is left of the log is flushed, the end reported
 * GONE      nothing is left of the pod, and the backend knows the end
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/macro.h"

struct allow_list;
struct assignment;
struct backend_client;
struct event_base;
struct executor;
struct executor_ops;
struct journal_entry;
struct pod;
struct sampler;
struct wal_execution;

/* Each phase's deadline; progress (an image is pulled) begins CREATING's
 * anew. */
#define POD_CREATE_MS 60000
#define POD_ASSIGN_MS 15000
#define POD_START_MS 15000
#define POD_DRAIN_MS 10000
#define POD_ADOPT_MS 15000
/* After the runner's grace period the executor kills, and after that its
 * runner's stream has this long to end. */
#define POD_KILL_AFTER_GRACE_MS 2000
#define POD_KILL_WAIT_MS 2000
/* How long the executor has to say why a runner vanished. */
#define POD_POSTMORTEM_MS 500

enum pod_state {
	POD_CREATING,
	POD_READY,
	POD_ASSIGNED,
	POD_ADOPTING,
	POD_RUNNING,
	POD_STOPPING,
	POD_FAILED,
	POD_GONE,
};

struct pod_ops {
	/* CREATING is over, one way or the other. */
	void (*on_created)(struct pod *p, void *ctx);
	/* The backend knows the end, or does not want to. */
	void (*on_ended)(struct pod *p, void *ctx);
	/* Nothing is left; the owner frees it, but not in here. */
	void (*on_gone)(struct pod *p, void *ctx);
};

struct pod_config {
	struct event_base *base;
	struct backend_client *client;
	const struct allow_list *egress_allow; /* beside public addresses */
	const struct executor_ops *executor_ops;
	struct executor *executor;
	struct sampler *sampler;       /* NULL: no telemetry */
	struct journal_entry *journal; /* taken over; NULL: none is kept */
};

/*
 * Begins. assignment and the journal's entry are taken over, also on error; it
 * is complete, with script and input. 0 or -ENOMEM; callbacks are never made
 * from within.
 */
int pod_new(struct pod **out, const struct pod_config *config,
	    struct assignment *assignment, const struct pod_ops *ops,
	    void *ctx) MUST_CHECK;
/* The same with a pod that another process of us has begun, and the
 * assignment_restore() of it. past is valid during the call only. */
int pod_adopt(struct pod **out, const struct pod_config *config,
	      struct assignment *assignment, const struct wal_execution *past,
	      const struct pod_ops *ops, void *ctx) MUST_CHECK;
/* In GONE, or when the process ends. NULL is fine. */
void pod_free(struct pod *p);

const char *pod_id(const struct pod *p);
const char *pod_execution(const struct pod *p);
int64_t pod_epoch(const struct pod *p);
/* {"execution","job","state","cpu_us","memory_bytes","pids"}, a new reference;
 * NULL: out of memory. What is not known (yet) is null. */
json_t *pod_status(const struct pod *p);
/* Whether its job is tried again once its lease has run out: then it must not
 * run any more at that time. */
bool pod_may_run_elsewhere(const struct pod *p);

/* The user wants it ended: SIGTERM, a grace period, SIGKILL. */
void pod_cancel(struct pod *p, const char *reason);
/* The orchestrator ends: before the runner was told what to run the claim is
 * given back, else as pod_cancel(). */
void pod_stop(struct pod *p, const char *reason);
/* The execution is not ours any more: ended without a word to anybody. */
void pod_abandon(struct pod *p, const char *why);
/* No more patience: what is left is killed and reported in brief. */
void pod_kill(struct pod *p, const char *reason);
