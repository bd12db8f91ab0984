/* Errors for people and programs: application/problem+json (RFC 9457). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

struct buf;
struct http_exchange;
struct http_header;

/*
 * Ends the exchange. code is a short stable word ("not_found"); detail a
 * sentence that says what failed, with which value, and what to do. trace_id
 * may be NULL: the request's traceparent or a fresh id is used.
 */
void http_problem(struct http_exchange *ex, int status, const char *code,
		  const char *trace_id, const char *fmt, ...) PRINTF_LIKE(5, 6);

/* The same with up to PROBLEM_HEADERS_MAX headers of the caller's (Allow,
 * Retry-After …). */
#define PROBLEM_HEADERS_MAX 6
void http_problem_with(struct http_exchange *ex, int status, const char *code,
		       const struct http_header *headers, size_t n_headers,
		       const char *fmt, ...) PRINTF_LIKE(6, 7);

#define HTTP_PROBLEM_MEMBERS_MAX 3

struct http_problem_text {
	int status;
	const char *code, *detail, *trace_id;
	/* More members, numbers; one without a name ends them. */
	struct http_problem_member {
		const char *name;
		int64_t value;
	} members[HTTP_PROBLEM_MEMBERS_MAX];
};
/* Appends the document alone; what is no UTF-8 is replaced. 0 or -ENOMEM. */
int http_problem_append(struct buf *b,
			const struct http_problem_text *p) MUST_CHECK;

/* The standard reason phrase, "Not Found"; "Unknown" where there is none. */
const char *http_status_phrase(int status);
