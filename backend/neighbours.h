/*
 * Other backends of the same database (PostgreSQL). What they commit is heard
 * (store_listen.h), read, and told to the parts of this one as if it had been
 * committed here: executions and their tokens, the queue, followers, streams,
 * changes of variables, API keys, agents. Where the store is a file there are
 * no others, and this does nothing.
 *
 * A job is read when it was claimed elsewhere, or when somebody here has to do
 * with it. What was read may be older than what this backend has heard of
 * itself meanwhile: then it is read once more.
 *
 * After a gap in hearing, and now and then, everything is looked at.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

/* How often leases, waiting jobs and agents are looked at, whoever has to. */
#define NEIGHBOURS_LOOK_MS 5000
#define NEIGHBOURS_BUSY_MS 500 /* the store took no more reads */
/* Executions that are known to have ended, so that their tokens are refused
 * without a look into the store. */
#define NEIGHBOURS_ENDED_MAX 1024

struct backend;
struct neighbours;
struct store_job;

/* An orchestrator that is connected to another backend. */
struct neighbours_agent {
	const char *name, *executors, *away, *labels, *problem;
	int64_t slots, running;
	bool drained, accepting;
};

int neighbours_new(struct neighbours **out, struct backend *b) MUST_CHECK;
void neighbours_free(struct neighbours *n);
/* Begins to hear. 0 or negative errno. */
int neighbours_start(struct neighbours *n) MUST_CHECK;
void neighbours_stop(struct neighbours *n);

/* Called by job_changed(). */
void neighbours_job_changed(struct neighbours *n, const struct store_job *job);
/*
 * An execution that is not in the table of live ones presents a token. False:
 * it has ended. True: nobody knows yet; the store is asked, and the caller may
 * come again.
 */
bool neighbours_may_live(struct neighbours *n, const char *execution);
/* Its tokens are worth nothing any more. */
void neighbours_execution_ended(struct neighbours *n, const char *execution);
void neighbours_foreach_agent(const struct neighbours *n,
			      void (*fn)(const struct neighbours_agent *a,
					 void *ctx),
			      void *ctx);
