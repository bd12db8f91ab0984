/*
 * Jobs that failed and wait for their next try: the timer that lets the queue
 * have them again. When that is stands in the store, so that a restart changes
 * nothing; whether there is one at all is store_sql_retry.c's to say.
 */
#pragma once

#include "common/macro.h"

#define RETRIES_STORE_BUSY_MS 1000 /* asks again after a failure */

struct backend;
struct retries;
struct store_job;

int retries_new(struct retries **out, struct backend *b) MUST_CHECK;
void retries_free(struct retries *t);
/* Looks for what an earlier backend has left. */
void retries_start(struct retries *t);
/* The backend stops: what waits does so in the store. */
/* Whoever had to may not have done it. */
void retries_look(struct retries *t);
void retries_stop(struct retries *t);

/* Called by job_changed(). */
void retries_job_changed(struct retries *t, const struct store_job *job);
