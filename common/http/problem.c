#include "common/http/problem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/http/server.h"
#include "common/http/trace.h"
#include "common/json.h"

#define DETAIL_MAX_BYTES 1024

const char *http_status_phrase(int status)
{
	static const struct {
		int status;
		const char *phrase;
	} phrases[] = {
		{ 200, "OK" },
		{ 404, "Not Found" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 204, "No Content" },
		{ 206, "Partial Content" },
		{ 301, "Moved Permanently" },
		{ 302, "Found" },
		{ 303, "See Other" },
		{ 304, "Not Modified" },
		{ 307, "Temporary Redirect" },
		{ 308, "Permanent Redirect" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 405, "Method Not Allowed" },
		{ 406, "Not Acceptable" },
		{ 408, "Request Timeout" },
		{ 409, "Conflict" },
		{ 410, "Gone" },
		{ 411, "Length Required" },
		{ 412, "Precondition Failed" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 416, "Range Not Satisfiable" },
		{ 417, "Expectation Failed" },
		{ 421, "Misdirected Request" },
		{ 422, "Unprocessable Content" },
		{ 423, "Locked" },
		{ 424, "Failed Dependency" },
		{ 425, "Too Early" },
		{ 428, "Precondition Required" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" },
		{ 507, "Insufficient Storage" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(phrases); i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return "Unknown";
}

static int append_member(struct buf *b, const char *name, const char *value)
{
	int r = buf_printf(b, ",\"%s\":", name);

	return r < 0 ? r : json_append_string(b, value, strlen(value));
}

int http_problem_append(struct buf *b, const struct http_problem_text *p)
{
	int r = buf_printf(b, "{\"type\":\"about:blank\",\"status\":%d",
			   p->status);

	if (!r)
		r = append_member(b, "title", http_status_phrase(p->status));
	if (!r)
		r = append_member(b, "detail", p->detail);
	if (!r)
		r = append_member(b, "code", p->code);
	if (!r)
		r = append_member(b, "trace_id", p->trace_id);
	for (size_t i = 0; i < HTTP_PROBLEM_MEMBERS_MAX; i++)
		if (!r && p->members[i].name)
			r = buf_printf(b, ",\"%s\":%lld", p->members[i].name,
				       (long long)p->members[i].value);
	return r ? r : buf_append_str(b, "}\n");
}

static void problem_respond(struct http_exchange *ex, int status,
			    const char *code, const char *trace_id,
			    const struct http_header *extra, size_t n_extra,
			    const char *detail)
{
	_cleanup_(buf_deinit) struct buf body = { 0 };
	struct http_header headers[2 + PROBLEM_HEADERS_MAX];
	char own[TRACE_BYTES];

	if (!trace_id) {
		http_trace_id(http_exchange_request(ex), own);
		trace_id = own;
	}
	assert(n_extra <= PROBLEM_HEADERS_MAX);
	headers[0] = (struct http_header){ "Content-Type",
					   "application/problem+json" };
	headers[1] = (struct http_header){ "X-Cronium-Trace-Id", trace_id };
	if (n_extra)
		memcpy(headers + 2, extra, n_extra * sizeof(*extra));
	if (http_problem_append(&body, &(struct http_problem_text){
					       .status = status,
					       .code = code,
					       .detail = detail,
					       .trace_id = trace_id,
				       }) < 0)
		buf_clear(&body);
	http_respond(ex, status, headers, 2 + n_extra, body.data, body.len);
}

void http_problem(struct http_exchange *ex, int status, const char *code,
		  const char *trace_id, const char *fmt, ...)
{
	char detail[DETAIL_MAX_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	problem_respond(ex, status, code, trace_id, NULL, 0, detail);
}

void http_problem_with(struct http_exchange *ex, int status, const char *code,
		       const struct http_header *headers, size_t n_headers,
		       const char *fmt, ...)
{
	char detail[DETAIL_MAX_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	problem_respond(ex, status, code, NULL, headers, n_headers, detail);
}
