/*
 * What one assignment brings, shared by the handlers: who may ask (auth), what
 * is known (cache), whom to ask (backend), how much at a time (limits).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/macro.h"
#include "sidecar/assignment.h"
#include "sidecar/audit.h"
#include "sidecar/changes.h"
#include "sidecar/flight.h"
#include "sidecar/limits.h"
#include "sidecar/metrics.h"

struct auth;
struct backend_client;
struct cache;
struct control;
struct event_base;
struct reply;

struct execution {
	struct assignment assignment;
	struct event_base *base;
	struct control *control; /* borrowed */
	struct metrics *metrics; /* borrowed */
	struct auth *auth;
	struct cache *cache;
	struct flight_table flights;
	struct changes changes;
	struct audit audit;
	struct backend_client *backend;
	struct limits limits;
	struct rate rate[RATE_CLASSES];
	/* What is under way. */
	LIST_HEAD(, relay) relays;
	LIST_HEAD(, variable_read) reads;
	LIST_HEAD(, stream_read) stream_reads;
	LIST_HEAD(, stream_write) stream_writes;
	LIST_HEAD(, watch) watches;
	uint32_t n_watches;
	/* Writes that were begun and not yet answered by the backend. */
	unsigned int writes;
	/* The last of them ended; may be NULL. */
	void (*on_writes_done)(void *ctx);
	void *ctx;
};

/* Takes the assignment's content, also on error. 0 or negative errno with a
 * sentence in err. */
int execution_new(struct execution **out, struct event_base *base,
		  struct assignment *a, const char *endpoint,
		  struct control *control, struct metrics *metrics, char *err,
		  size_t err_size) MUST_CHECK;
/* Drops what is under way; who still waits for a reply is told that it ends. */
void execution_free(struct execution *x);
DEFINE_CLEANUP(struct execution *, execution_free)

/* Nobody is to read anything of it any more; writes go on. */
void execution_end_reads(struct execution *x);

/* Whether another one of this class fits its rate; answers 429 itself. */
bool execution_admit(struct execution *x, enum rate_class class,
		     struct reply *reply);

/* The trace that the job belongs to; NULL where the assignment names none. */
const char *execution_trace(const struct execution *x);

/* A line of the log about it, with its trace. */
#define execution_log(x, level, ...)                                    \
	log_write(level, (x)->assignment.execution, execution_trace(x), \
		  __VA_ARGS__)

void execution_write_begin(struct execution *x);
void execution_write_end(struct execution *x);
