/* Calls of tools, by people and by scripts. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/api.h"
#include "backend/api_handlers.h"
#include "backend/json_span.h"
#include "backend/live.h"
#include "backend/tool_answer.h"
#include "backend/tool_call.h"
#include "backend/tool_native.h"
#include "backend/tool_registry.h"
#include "backend/tool_schema.h"
#include "backend/tool_violations.h"
#include "backend/tools.h"
#include "common/json.h"

/* Scripts and inputs of jobs that are started. */
#define API_TOOL_BODY_BYTES (16 * 1024 * 1024)

/* --- what a body asks for ------------------------------------------------ */

struct tool_ask {
	json_t *body; /* the object */
	const char *tool, *action;
	const json_t *params;
	const char *params_name; /* "params", or "config" as it was called */
	bool dry_run;
	const char *key;  /* Idempotency-Key, or NULL */
	const char *text; /* of the body */
	size_t len;
};

static void ask_deinit(struct tool_ask *ask)
{
	json_decref(ask->body);
}

static bool ask_member_known(const char *name)
{
	static const char *const known[] = { "tool", "action", "params",
					     "config", "dry_run" };

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(name, known[i]))
			return true;
	return false;
}

/* False: answered. */
static bool ask_check(struct api_call *call, json_t *body)
{
	const json_t *dry_run = json_object_get(body, "dry_run");
	const char *name;
	json_t *v;

	json_object_foreach(body, name, v) {
		if (ask_member_known(name))
			continue;
		api_problem(call, 400, "invalid_request",
			    "%.80s is not a known member; there are tool, "
			    "action, params and dry_run",
			    name);
		return false;
	}
	if (json_object_get(body, "params") &&
	    json_object_get(body, "config")) {
		api_problem(call, 400, "invalid_request",
			    "params and config are two names of one member: "
			    "give one of them");
		return false;
	}
	if (dry_run && !json_is_boolean(dry_run)) {
		api_problem(call, 400, "invalid_request",
			    "dry_run must be true or false");
		return false;
	}
	return true;
}

/* False: answered. */
static bool ask_parse(struct api_call *call, struct tool_ask *ask,
		      const uint8_t *body, size_t len)
{
	*ask = (struct tool_ask){ .text = (const char *)body, .len = len };
	ask->body = api_body_object(call, body, len);
	if (!ask->body || !ask_check(call, ask->body))
		return false;
	ask->tool = json_get_str(ask->body, "tool", NULL);
	ask->action = json_get_str(ask->body, "action", NULL);
	ask->params_name = json_object_get(ask->body, "config") ? "config"
								: "params";
	ask->params = json_object_get(ask->body, ask->params_name);
	ask->dry_run = json_get_bool(ask->body, "dry_run", false);
	return api_idempotency_key(call, &ask->key);
}

/* --- carrying it out ----------------------------------------------------- */

static void ask_native(struct api_call *call, const struct tool_ask *ask)
{
	struct tool_native_request request = {
		.action = tool_native_find(call->b->tools->native, ask->action),
		.params = ask->params,
		.idempotency_key = ask->key,
		.dry_run = ask->dry_run,
	};
	_cleanup_json_ json_t *none = json_object();
	struct json_span params, input;

	if (!request.action) {
		api_problem(call, 404, "action_not_found",
			    TOOL_NATIVE_NAME " has no action %.80s; it has "
					     "call-workflow and call-agent",
			    ask->action);
		return;
	}
	if (!request.params)
		request.params = none;
	if (json_object_get(request.params, "input")) {
		if (!json_span_find(ask->text, ask->len, ask->params_name,
				    &params) ||
		    !json_span_find(ask->text + params.start, params.len,
				    "input", &input)) {
			api_problem(call, 400, "invalid_json",
				    "the members %s and input must be "
				    "written without escapes",
				    ask->params_name);
			return;
		}
		request.input = ask->text + params.start + input.start;
		request.input_len = input.len;
	}
	tool_native_call(call, &request);
}

static void ask_refuse(struct api_call *call, const struct tool_ask *ask,
		       const struct tool_violations *v)
{
	char target[2 * TOOL_NAME_MAX_BYTES + 2];

	snprintf(target, sizeof(target), "%s/%s", ask->tool, ask->action);
	tool_answer_violations(call, target, v);
}

static void ask_start(struct api_call *call, const struct tool_ask *ask,
		      struct tool_entry *entry,
		      const struct tool_action *action)
{
	struct tool_call_request request = {
		.entry = entry,
		.action = action,
		.given = ask->params,
		.idempotency_key = ask->key,
		.dry_run = ask->dry_run,
	};
	_cleanup_json_ json_t *none = json_object();
	struct tool_violations v = { 0 };
	int r;

	if (!request.given)
		request.given = none;
	r = tool_schema_check(action->params, request.given, &v,
			      &request.params);
	if (r == TOOL_E_INVALID)
		ask_refuse(call, ask, &v);
	else if (r)
		api_start(call, -ENOMEM);
	else
		tool_call_start(call->b->tools, call, &request);
	json_decref(request.params);
	tool_violations_deinit(&v);
}

/* The same for people and scripts, once it is known that they may. */
static void ask_run(struct api_call *call, const struct tool_ask *ask)
{
	const struct tool_action *action = NULL;
	struct tool_entry *entry;

	if (!strcmp(ask->tool, TOOL_NATIVE_NAME)) {
		ask_native(call, ask);
		return;
	}
	entry = tool_registry_find(tools_registry(call->b->tools), ask->tool);
	if (entry && entry->tool)
		action = tool_action_find(entry->tool, ask->action);
	if (!entry)
		api_problem(call, 404, "tool_not_found",
			    "there is no tool %.80s; see: cronium tools list",
			    ask->tool);
	else if (!entry->tool)
		api_problem(call, 404, "tool_not_found",
			    "the file of the tool %.80s has a problem; see: "
			    "cronium tools show %.80s",
			    ask->tool, ask->tool);
	else if (!action)
		api_problem(call, 404, "action_not_found",
			    "%.80s has no action %.80s; see: cronium tools "
			    "show %.80s",
			    ask->tool, ask->action, ask->tool);
	else if (ask->len > TOOLS_PARAMS_MAX_BYTES)
		api_problem(call, 413, "too_large",
			    "the parameters have %zu bytes; the limit is %d",
			    ask->len, TOOLS_PARAMS_MAX_BYTES);
	else
		ask_start(call, ask, entry, action);
}

/* --- by a script --------------------------------------------------------- */

/* Any other name is text of the script's own: it has no place in the audit
 * log. */
static bool ask_exists(struct api_call *call, const struct tool_ask *ask)
{
	const struct tools *tools = call->b->tools;
	const struct tool_entry *entry;

	if (!strcmp(ask->tool, TOOL_NATIVE_NAME))
		return tool_native_find(tools->native, ask->action);
	entry = tool_registry_find(tools->registry, ask->tool);
	return entry && entry->tool &&
	       tool_action_find(entry->tool, ask->action);
}

static bool ask_allowed(struct api_call *call, const struct tool_ask *ask)
{
	const struct token_claims *claims = &call->caller.token->claims;
	_cleanup_(buf_deinit) struct buf name = { 0 };

	if (!ask->tool || !ask->action) {
		api_problem(call, 400, "invalid_request",
			    "tool and action are needed, both strings");
		return false;
	}
	if (buf_printf(&name, "%s/%s", ask->tool, ask->action) ||
	    !buf_cstr(&name)) {
		api_start(call, -ENOMEM);
		return false;
	}
	if (token_may_call(claims, (char *)name.data))
		return true;
	auth_audit_refusal(call->b->auth, call, "tool.call",
			   ask_exists(call, ask) ? (char *)name.data
						 : "unknown",
			   "tool_forbidden");
	api_problem(call, 403, "tool_forbidden",
		    "this job may not call %.160s: it is not in its \"tools\"",
		    (char *)name.data);
	return false;
}

static void on_execute_body(struct http_exchange *ex, const uint8_t *body,
			    size_t len, void *data)
{
	struct tool_ask ask;

	if (ask_parse(data, &ask, body, len) && ask_allowed(data, &ask))
		ask_run(data, &ask);
	ask_deinit(&ask);
}

API_HANDLER(api_tool_execute)
{
	struct api_call *call = ctx;

	if (call->caller.token->claims.scopes & TOKEN_SCOPE_TOOLS) {
		http_exchange_collect(ex, API_TOOL_BODY_BYTES, on_execute_body);
		return;
	}
	auth_audit_refusal(call->b->auth, call, "tools", "tools", "forbidden");
	api_problem(call, 403, "forbidden", "the token does not allow tools");
}

/* --- by people ----------------------------------------------------------- */

static void on_try_body(struct http_exchange *ex, const uint8_t *body,
			size_t len, void *data)
{
	struct api_call *call = data;
	struct tool_ask ask;

	if (ask_parse(call, &ask, body, len)) {
		ask.tool = api_param(call, "tool");
		ask.action = api_param(call, "action");
		ask_run(call, &ask);
	}
	ask_deinit(&ask);
}

API_HANDLER(api_tool_try)
{
	http_exchange_collect(ex, API_TOOL_BODY_BYTES, on_try_body);
}
