/*
 * Tells the backend how an execution begins and ends, in that order, each
 * until it is accepted or refused for good.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/macro.h"

struct backend_client;
struct completion;
struct event_base;
struct outcome;

struct completion_ops {
	/* completion_started() was taken: it is committed. */
	void (*on_started)(void *ctx);
	/* The last word (finish or release) was taken. */
	void (*on_accepted)(void *ctx);
	/* The execution is not ours any more: its lease ran out and the epoch
	 * is stale, or the backend does not know it. At most once, and then
	 * never on_accepted. */
	void (*on_refused)(void *ctx, const char *why);
};

/* execution must outlive the completion. 0 or -ENOMEM. */
int completion_new(struct completion **out, struct event_base *base,
		   struct backend_client *client, const char *execution,
		   int64_t epoch, const struct completion_ops *ops,
		   void *ctx) MUST_CHECK;
/* What is under way is dropped. NULL is fine. Fine inside its callbacks. */
void completion_free(struct completion *c);

/* All three: 0 or -ENOMEM; callbacks are never made from within. */
int completion_started(struct completion *c, const char *pod,
		       const char *executor) MUST_CHECK;
/* log_dropped_bytes: what the full log did not take. */
int completion_finish(struct completion *c, const struct outcome *outcome,
		      uint64_t log_dropped_bytes) MUST_CHECK;
/* Gives the claim back. unbegun: nobody was ever told what to run, also where
 * the backend was told that it starts. */
int completion_release(struct completion *c, bool unbegun,
		       const char *reason) MUST_CHECK;
