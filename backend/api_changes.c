/*
 * Changes of variables, as they happen, for administrators (/v1/changes) and
 * for executions (/v1/runtime/changes); and what a sidecar has refused by
 * itself.
 */
#include "backend/api.h"
#include "backend/api_handlers.h"
#include "backend/change_stream.h"
#include "backend/live.h"
#include "backend/refusals.h"
#include "backend/store_admin.h"
#include "common/json.h"
#include "common/var_key.h"

/* --- GET /v1/changes, /v1/runtime/changes -------------------------------- */

/* Whether the caller may watch the key, "" for all; false: answered. */
static bool changes_allowed(struct api_call *call, const char *key)
{
	const struct token_claims *claims =
		call->caller.token ? &call->caller.token->claims : NULL;

	if (*key && !var_key_valid(key)) {
		api_problem(call, 400, "invalid_key",
			    "a variable's key is " VAR_KEY_RULE);
		return false;
	}
	if (!claims || ((claims->scopes & TOKEN_SCOPE_VARIABLES) &&
			(!*key || token_may_read(claims, key))))
		return true;
	auth_audit_refusal(call->b->auth, call, "variable.watch",
			   *key ? key : "variables", "forbidden");
	if (*key)
		api_problem(call, 403, "forbidden",
			    "the token does not allow this with variable %s",
			    key);
	else
		api_problem(call, 403, "forbidden",
			    "the token does not allow variables");
	return false;
}

API_HANDLER(api_changes)
{
	struct api_call *call = ctx;
	char key[VAR_KEY_MAX_BYTES + 1];
	int64_t from;

	if (!api_query_str(call, "key", key, sizeof(key)) ||
	    !api_query_int(call, "from", 0, INT64_MAX, -1, &from) ||
	    !changes_allowed(call, key))
		return;
	if (call->req->method == HTTP_HEAD)
		api_problem(call, 405, "method_not_allowed",
			    "a stream of changes is something to read");
	else
		change_stream_start(call, *key ? key : NULL, from);
}

/* --- POST /v1/runtime/audit ---------------------------------------------- */

static void on_audited(int r, const struct store_result *result, void *ctx)
{
	if (r)
		api_store_problem(ctx, r, result, "audit entry");
	else
		api_reply_empty(ctx, 204);
}

static void audit(struct api_call *call, const char *action, const char *code,
		  const char *target)
{
	struct store_audit entry = api_audit(call, action, target);
	int r = refusals_count(call->b->refusals, &entry);

	entry.result = code;
	if (r == 1)
		api_reply_empty(call, 204);
	else if (r)
		api_start(call, r);
	else
		api_start(call, store_audit_append(call->b->store, &entry,
						   api_done(call, on_audited)));
}

static void on_audit_body(struct http_exchange *ex, const uint8_t *body,
			  size_t len, void *data)
{
	struct api_call *call = data;
	_cleanup_json_ json_t *o = api_body_object(call, body, len);
	const char *action = json_get_str(o, "action", "");
	const char *code = json_get_str(o, "code", "");
	const char *target = json_get_str(o, "target", NULL);

	if (!o)
		return;
	if (refusals_known(action, code) && (!target || var_key_valid(target)))
		audit(call, action, code, target);
	else
		api_problem(call, 400, "invalid_audit",
			    "send {\"action\":\"token.refused\",\"code\":"
			    "\"token_invalid\"}, or another refusal of a "
			    "sidecar, with the name that it is about as "
			    "\"target\" or without");
}

API_HANDLER(api_audit_report)
{
	http_exchange_collect(ex, API_BODY_SMALL_BYTES, on_audit_body);
}
