/*
 * The queue: gives queued jobs to connected orchestrators. A claim is started
 * in the loop turn in which a submit was committed or a slot became free;
 * nothing is polled. The store knows whose turn it is (store_sql_queue.c); the
 * least loaded agent asks first, and none holds more leases than it has slots.
 *
 * A lease that is not extended runs out: a job that was not started goes back
 * to the queue, one that was is lost.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/store_queue.h"
#include "common/macro.h"

/* An agent begins with one claim, and doubles them while they find something:
 * jobs that wait for an agent that is not there cost the others one in vain. */
#define QUEUE_CLAIMS_AT_ONCE 64
#define QUEUE_EXPIRE_MIN_MS 50
#define QUEUE_PROBLEM_BYTES 512

struct agent;
struct api_call;
struct backend;
struct queue;
struct store_agent;
struct store_agent_status;
struct store_job;

/* How an agent introduces itself. */
struct agent_hello {
	const char *name, *executors, *labels;
	size_t slots;
};

int queue_new(struct queue **out, struct backend *b) MUST_CHECK;
void queue_free(struct queue *q);
/* How many jobs wait, counted by the store at start. */
void queue_start(struct queue *q, int64_t queued);
/* No claim is started any more, and the claim streams end. */
void queue_stop(struct queue *q);

/* A claim stream was opened and its reply started: it replaces one of the
 * same name. NULL on ENOMEM. */
struct agent *queue_connect(struct queue *q, struct api_call *call,
			    const struct agent_hello *hello);
/* Whether it is drained may have changed; it need not be connected. */
void queue_agent_changed(struct queue *q, const struct store_agent *agent);
/* The agent says whether it takes jobs. */
void queue_agent_accepts(struct queue *q, struct agent *a,
			 const struct store_agent_status *status);
/* Leases were cut short: looks for those that have run out at once. */
void queue_expire_now(struct queue *q);
/* Jobs were held or let go: counts them again. */
void queue_recount(struct queue *q);
/* The stream broke. */
void queue_disconnect(struct queue *q, struct agent *a, const char *why);
/* The agent's stream takes more again. */
void queue_drained(struct queue *q, struct agent *a);
/* NULL when it is not connected. */
struct agent *queue_agent(const struct queue *q, const char *name);
void queue_foreach_agent(const struct queue *q,
			 void (*fn)(struct agent *a, void *ctx), void *ctx);
/* Why the store gave out no job when it was last asked, for an administrator;
 * NULL when it did, or had none. */
const char *queue_problem(const struct queue *q);

/* Another backend has one more job for all, or has taken one (-1). */
void queue_heard(struct queue *q, int64_t more);
/* An agent that is connected to another backend: an older stream is dead. */
void queue_agent_moved(struct queue *q, const struct store_agent *agent);
/* Called by job_heard(): what it asks of an agent that is connected here. */
void queue_job_heard(struct queue *q, const struct store_job *job);
/* Called by job_changed(). */
void queue_job_changed(struct queue *q, const struct store_job *job);
