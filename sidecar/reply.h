/*
 * Where the reply to a request goes, and how it is counted. Small, copied by
 * value into whatever outlives the request's handler.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/http/server.h"
#include "common/http/trace.h"
#include "common/macro.h"
#include "sidecar/metrics.h"
#include "sidecar/rate.h"

#define REPLY_HEADERS_MAX 8 /* that a handler may add */
#define REPLY_DETAIL_BYTES 512

struct reply {
	struct http_exchange *ex; /* NULL: the script went away */
	struct metrics *metrics;
	enum metrics_class class;
	uint64_t started_us;
	char trace[TRACE_BYTES];
};

/* Takes the trace id of the request's traceparent, else trace (the job's),
 * or makes one up where that is NULL. */
void reply_init(struct reply *r, struct http_exchange *ex,
		struct metrics *metrics, enum metrics_class class,
		const char *trace);

/* Starts a reply that http_respond_write(r->ex …) goes on with. Nothing happens
 * where r->ex is NULL. */
void reply_start(struct reply *r, int status, const struct http_header *headers,
		 size_t n);
/* Each ends the exchange, so that r->ex is NULL afterwards; nothing happens
 * where it was NULL before. X-Cronium-Trace-Id is added. */
void reply_send(struct reply *r, int status, const struct http_header *headers,
		size_t n, const void *body, size_t len);
void reply_json(struct reply *r, int status, const void *body, size_t len);
/* A problem document; the detail says what failed and what to do next. */
void reply_problem(struct reply *r, int status, const char *code,
		   const char *fmt, ...) PRINTF_LIKE(4, 5);
void reply_problem_with(struct reply *r, int status, const char *code,
			const struct http_header *header, const char *fmt, ...)
	PRINTF_LIKE(5, 6);
/* 503: the execution ends. */
void reply_draining(struct reply *r);
/* 429: so many requests are under way. */
void reply_busy(struct reply *r, uint32_t in_flight);
/* 429: over the rate; there is room again after wait_ms. */
void reply_rate_limited(struct reply *r, enum rate_class class,
			const struct rate *rate, uint64_t wait_ms);
