#include "sidecar/stream_problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backend-client/client.h"
#include "common/http/problem.h"
#include "common/json.h"
#include "sidecar/reply.h"

void stream_problem_deinit(struct stream_problem *p)
{
	json_decref(p->document);
	p->document = NULL;
}

static void set(struct stream_problem *p, const struct http_problem_text *text)
{
	_cleanup_(buf_deinit) struct buf document = { 0 };
	char err[128];

	stream_problem_deinit(p);
	*p = (struct stream_problem){ .status = text->status };
	if (http_problem_append(&document, text) == 0)
		p->document = json_parse_object(document.data, document.len,
						err, sizeof(err));
}

void stream_problem_set(struct stream_problem *p, const struct reply *reply,
			int status, const char *code, const char *fmt, ...)
{
	char detail[REPLY_DETAIL_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	set(p, &(struct http_problem_text){
		       .status = status,
		       .code = code,
		       .detail = detail,
		       .trace_id = reply->trace,
	       });
}

static void set_number(struct stream_problem *p, const char *name, int64_t n)
{
	if (p->document)
		json_object_set_new(p->document, name, json_integer(n));
}

void stream_problem_set_record(struct stream_problem *p, int64_t record)
{
	p->next_is_record = record < 0;
	if (record >= 0)
		set_number(p, "record", record);
}

void stream_problem_set_offset(struct stream_problem *p, uint64_t offset)
{
	set_number(p, "offset", (int64_t)offset);
}

static void take_document(struct stream_problem *p,
			  const struct backend_response *r)
{
	const char *after = backend_response_header(r, "retry-after");
	char err[128];

	stream_problem_deinit(p);
	*p = (struct stream_problem){ .status = r->status };
	snprintf(p->retry_after, sizeof(p->retry_after), "%s",
		 after ? after : "");
	p->document = json_parse_object(r->body, r->body_len, err, sizeof(err));
}

void stream_problem_take(struct stream_problem *p, const struct reply *reply,
			 const struct backend_response *r)
{
	if (r->error == BACKEND_OK && r->status >= 400) {
		take_document(p, r);
		return;
	}
	if (r->error == BACKEND_OK)
		stream_problem_set(p, reply, 502, "backend_unavailable",
				   "the backend's answer does not say how many "
				   "records it has; ask with an empty body");
	else
		stream_problem_set(p, reply, 503, "backend_unavailable",
				   "the backend could not be asked: %s; next "
				   "says how many records are stored, go on "
				   "from there",
				   r->detail ? r->detail
					     : backend_strerror(r->error));
	p->lost = r->error != BACKEND_OK;
	strcpy(p->retry_after, "1");
}

int stream_problem_render(struct stream_problem *p, const uint64_t *next,
			  struct buf *out)
{
	int r;

	if (!p->document)
		return buf_printf(out, "{\"status\":%d}\n", p->status);
	if (next)
		set_number(p, "next", (int64_t)*next);
	if (next && p->next_is_record)
		set_number(p, "record", (int64_t)*next);
	r = json_append(out, p->document);
	return r < 0 ? r : buf_append(out, "\n", 1);
}

void stream_problem_send(const struct stream_problem *p, struct reply *reply,
			 const struct buf *text)
{
	const struct http_header headers[] = {
		{ "Content-Type", "application/problem+json" },
		{ "Retry-After", p->retry_after },
	};

	reply_send(reply, p->status, headers, *p->retry_after ? 2 : 1,
		   text->data, text->len);
}
