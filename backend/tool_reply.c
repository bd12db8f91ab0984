#include "backend/tool_reply.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backend/tool_json.h"
#include "common/http/problem.h"
#include "common/json.h"

void tool_reply_deinit(struct tool_reply *r)
{
	buf_deinit_secret(&r->body);
	*r = (struct tool_reply){ 0 };
}

static void reply_fail(struct tool_reply *r)
{
	tool_reply_deinit(r);
	r->status = 503;
	r->code = "out_of_memory";
}

void tool_reply_value(struct tool_reply *r, const json_t *value)
{
	int e;

	tool_reply_deinit(r);
	r->status = 200;
	r->code = "ok";
	e = tool_json_append(&r->body, value);
	if (e == -EINVAL) { /* deeper than others write it */
		buf_clear(&r->body);
		e = json_append(&r->body, value);
	}
	if (e)
		reply_fail(r);
}

/* Text of others may be no UTF-8. */
static json_t *text_json(const char *s)
{
	_cleanup_(buf_deinit) struct buf text = { 0 };

	if (json_append_string(&text, s, strlen(s)))
		return NULL;
	return json_loadb((char *)text.data, text.len, JSON_DECODE_ANY, NULL);
}

void tool_reply_problem(struct tool_reply *r, int status, const char *code,
			const char *trace_id, const json_t *members,
			const char *fmt, ...)
{
	char detail[TOOL_REPLY_DETAIL_BYTES];
	_cleanup_json_ json_t *o = NULL;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	tool_reply_deinit(r);
	o = json_pack("{s:s,s:i,s:s,s:o,s:s,s:s}", "type", "about:blank",
		      "status", status, "title", http_status_phrase(status),
		      "detail", text_json(detail), "code", code, "trace_id",
		      trace_id);
	r->status = status;
	r->code = code;
	if (!o || (members && json_object_update(o, (json_t *)members)) ||
	    json_append(&r->body, o) || buf_append_str(&r->body, "\n"))
		reply_fail(r);
}

void tool_reply_stored(struct tool_reply *r, int status, const void *body,
		       size_t len)
{
	tool_reply_deinit(r);
	r->status = status;
	r->code = "repeated";
	if (buf_append(&r->body, body, len))
		reply_fail(r);
}
