/*
 * Changes of variables, as they happen, for administrators (/v1/changes) and
 * for executions (/v1/runtime/changes); and what a sidecar has refused by
 * itself.
 */
#include "backend/api.h"
#include "backend/api_handlers.h"
#include "backend/change_stream.h"
#include "backend/live.h"
#include "backend/var_key.h"

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
