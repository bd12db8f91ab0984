#include "backend/tool_answer.h"

#include <errno.h>

#include "backend/api.h"
#include "backend/tool_reply.h"
#include "backend/tool_violations.h"
#include "backend/tools.h"
#include "common/json.h"

void tool_answer(struct api_call *call, const struct tool_reply *reply)
{
	const struct http_header headers[] = {
		{ "content-type", reply->status == 200
					  ? "application/json"
					  : "application/problem+json" },
		{ "cache-control", "no-store" },
		{ "retry-after", TOOLS_RETRY_AFTER_S },
	};
	bool later = reply->status == 429 || reply->status == 503;

	api_reply(call, reply->status, headers,
		  ARRAY_SIZE(headers) - (later ? 0 : 1), reply->body.data,
		  reply->body.len);
}

void tool_answer_violations(struct api_call *call, const char *target,
			    const struct tool_violations *v)
{
	tool_answer_invalid(call, "invalid_params", target, v);
}

void tool_answer_invalid(struct api_call *call, const char *code,
			 const char *target, const struct tool_violations *v)
{
	_cleanup_json_ json_t *members = json_pack("{s:O?}", "violations",
						   v->list);
	_cleanup_(buf_deinit) struct buf text = { 0 };
	struct tool_reply reply = { 0 };

	if (!members || tool_violations_text(v, &text) || !buf_cstr(&text)) {
		api_start(call, -ENOMEM);
		return;
	}
	tool_reply_problem(&reply, 422, code, call->trace_id, members,
			   "%s cannot be called so: %s", target,
			   (char *)text.data);
	tool_answer(call, &reply);
	tool_reply_deinit(&reply);
}
