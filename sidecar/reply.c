#include "sidecar/reply.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "common/buf.h"
#include "common/http/problem.h"

#define TRACEPARENT_BYTES 55 /* 00-TRACE-PARENT-FLAGS, W3C Trace Context */

static const char hex_digits[] = "0123456789abcdef";

static void append_hex(char *out, uint64_t v)
{
	for (int i = 15; i >= 0; i--, v >>= 4)
		out[i] = hex_digits[v & 15];
}

/* Unique, not secret: random per process, counted within. */
static void make_trace(char out[REPLY_TRACE_BYTES])
{
	static uint64_t process, counter;

	while (!process)
		if (getrandom(&process, sizeof(process), 0) < 0)
			process = (uint64_t)getpid();
	append_hex(out, process);
	append_hex(out + 16, ++counter);
	out[32] = '\0';
}

static bool take_trace(const char *traceparent, char out[REPLY_TRACE_BYTES])
{
	const char *id = traceparent + 3;

	if (strlen(traceparent) < TRACEPARENT_BYTES || traceparent[2] != '-' ||
	    strspn(id, hex_digits) != 32 || strspn(id, "0") >= 32)
		return false;
	memcpy(out, id, 32);
	out[32] = '\0';
	return true;
}

void reply_init(struct reply *r, struct http_exchange *ex,
		struct metrics *metrics, enum metrics_class class)
{
	const char *traceparent = http_request_header(http_exchange_request(ex),
						      "traceparent");

	r->ex = ex;
	r->metrics = metrics;
	r->class = class;
	if (!traceparent || !take_trace(traceparent, r->trace))
		make_trace(r->trace);
}

void reply_send(struct reply *r, int status, const struct http_header *headers,
		size_t n, const void *body, size_t len)
{
	struct http_header all[REPLY_HEADERS_MAX + 1];
	struct http_exchange *ex = r->ex;

	if (!ex)
		return;
	n = MIN(n, REPLY_HEADERS_MAX);
	if (n)
		memcpy(all, headers, n * sizeof(*headers));
	all[n] = (struct http_header){ "X-Cronium-Trace-Id", r->trace };
	metrics_request(r->metrics, r->class, status);
	r->ex = NULL;
	http_respond(ex, status, all, n + 1, body, len);
}

void reply_json(struct reply *r, int status, const void *body, size_t len)
{
	static const struct http_header type = { "Content-Type",
						 "application/json" };

	reply_send(r, status, &type, 1, body, len);
}

static void send_problem(struct reply *r, int status, const char *code,
			 const struct http_header *header, const char *fmt,
			 va_list ap)
{
	struct http_header headers[2] = {
		{ "Content-Type", "application/problem+json" },
	};
	_cleanup_(buf_deinit) struct buf body = { 0 };
	char detail[REPLY_DETAIL_BYTES];

	vsnprintf(detail, sizeof(detail), fmt, ap);
	if (http_problem_append(&body, status, code, detail, r->trace) < 0)
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
