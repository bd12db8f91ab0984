/*
 * One POST to the backend that must arrive: repeated, across outages and
 * restarts of the backend, until it is answered for good. Only for calls that
 * the backend treats as idempotent.
 */
#pragma once

#include "common/buf.h"
#include "common/macro.h"

struct backend_client;
struct backend_response;
struct event_base;
struct report;

/* The answer: 2xx, or a 4xx that no repetition can mend. The report is gone
 * after the call. */
typedef void (*report_done_fn)(const struct backend_response *r, void *ctx);

struct report_request {
	const char *path;         /* copied */
	const char *content_type; /* a literal */
	struct buf *body;         /* taken over, empty afterwards */
};

/* 0 or -ENOMEM. done is never called from within. */
int report_new(struct report **out, struct event_base *base,
	       struct backend_client *client, const struct report_request *req,
	       report_done_fn done, void *ctx) MUST_CHECK;
/* Gives up: done is not called. Not from within done. NULL is fine. */
void report_cancel(struct report *r);
