#include "sidecar/reply.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/http/problem.h"

void reply_init(struct reply *r, struct http_exchange *ex,
		struct metrics *metrics, enum metrics_class class,
		const char *trace)
{
	r->ex = ex;
	r->metrics = metrics;
	r->class = class;
	r->started_us = clock_mono_us();
	http_trace_id_or(http_exchange_request(ex), trace, r->trace);
}

/* The headers of the reply that begins now, in all, with its trace behind them:
 * how many. */
static size_t reply_begin(struct reply *r, int status,
			  const struct http_header *headers, size_t n,
			  struct http_header all[REPLY_HEADERS_MAX + 1])
{
	n = MIN(n, REPLY_HEADERS_MAX);
	if (n)
		memcpy(all, headers, n * sizeof(*headers));
	all[n] = (struct http_header){ "X-Cronium-Trace-Id", r->trace };
	metrics_request(r->metrics, r->class, status,
			clock_mono_us() - r->started_us);
	return n + 1;
}

void reply_send(struct reply *r, int status, const struct http_header *headers,
		size_t n, const void *body, size_t len)
{
	struct http_header all[REPLY_HEADERS_MAX + 1];
	struct http_exchange *ex = r->ex;

	if (!ex)
		return;
	n = reply_begin(r, status, headers, n, all);
	r->ex = NULL;
	http_respond(ex, status, all, n, body, len);
}

void reply_start(struct reply *r, int status, const struct http_header *headers,
		 size_t n)
{
	struct http_header all[REPLY_HEADERS_MAX + 1];

	if (!r->ex)
		return;
	n = reply_begin(r, status, headers, n, all);
	http_respond_start(r->ex, status, all, n);
}

void reply_json(struct reply *r, int status, const void *body, size_t len)
{
	static const struct http_header type = { "Content-Type",
						 "application/json" };

	reply_send(r, status, &type, 1, body, len);
}

static PRINTF_LIKE(5, 0) void send_problem(struct reply *r, int status,
					   const char *code,
					   const struct http_header *header,
					   const char *fmt, va_list ap)
{
	struct http_header headers[2] = {
		{ "Content-Type", "application/problem+json" },
	};
	_cleanup_(buf_deinit) struct buf body = { 0 };
	char detail[REPLY_DETAIL_BYTES];
	const struct http_problem_text text = {
		.status = status,
		.code = code,
		.detail = detail,
		.trace_id = r->trace,
	};

	vsnprintf(detail, sizeof(detail), fmt, ap);
	if (http_problem_append(&body, &text) < 0)
		buf_clear(&body);
	if (header)
		headers[1] = *header;
	reply_send(r, status, headers, header ? 2 : 1, body.data, body.len);
}

void reply_problem(struct reply *r, int status, const char *code,
		   const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	send_problem(r, status, code, NULL, fmt, ap);
	va_end(ap);
}

void reply_problem_with(struct reply *r, int status, const char *code,
			const struct http_header *header, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	send_problem(r, status, code, header, fmt, ap);
	va_end(ap);
}

void reply_draining(struct reply *r)
{
	reply_problem(r, 503, "draining",
		      "the job has ended, and its sidecar takes no more "
		      "requests");
}

void reply_busy(struct reply *r, uint32_t in_flight)
{
	static const struct http_header retry_after = { "Retry-After", "1" };

	reply_problem_with(r, 429, "too_many_requests", &retry_after,
			   "%" PRIu32 " requests are under way; wait for one "
			   "of them to end",
			   in_flight);
}

void reply_rate_limited(struct reply *r, enum rate_class class,
			const struct rate *rate, uint64_t wait_ms)
{
	static const char *const what[RATE_CLASSES] = {
		[RATE_FORWARD] = "calls that the cache cannot answer",
		[RATE_TOOLS] = "tool actions",
		[RATE_REQUESTS] = "requests",
	};
	char seconds[24];
	const struct http_header retry_after = { "Retry-After", seconds };

	snprintf(seconds, sizeof(seconds), "%" PRIu64, rate_wait_s(wait_ms));
	r->metrics->rate_limited[class]++;
	reply_problem_with(r, 429, "rate_limited", &retry_after,
			   "this job may make %" PRIu64 " %s a minute, and "
			   "%" PRIu64 " at once; go on in %s s, and ask less "
			   "often",
			   rate->limit.per_min, what[class], rate->limit.burst,
			   seconds);
}
