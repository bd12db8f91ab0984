#include "backend/api_variable.h"

#include <stdio.h>

#include "backend/api.h"
#include "backend/live.h"
#include "common/var_key.h"

bool api_is_execution(const struct api_call *call)
{
	return call->caller.kind == AUTH_EXECUTION;
}

bool api_variable_may_read(const struct api_call *call, const char *key)
{
	return !api_is_execution(call) ||
	       token_may_read(&call->caller.token->claims, key);
}

bool api_variable_may_write(const struct api_call *call, const char *key)
{
	return !api_is_execution(call) ||
	       token_may_write(&call->caller.token->claims, key);
}

bool api_variable_in_scope(const struct api_call *call)
{
	return !api_is_execution(call) ||
	       (call->caller.token->claims.scopes & TOKEN_SCOPE_VARIABLES);
}

const char *api_variable_key(struct api_call *call, api_variable_may_fn *may,
			     const char *action)
{
	const char *key = api_param(call, "key");

	if (!var_key_valid(key)) {
		api_problem(call, 400, "invalid_key",
			    "a variable's key is " VAR_KEY_RULE);
		return NULL;
	}
	if (api_variable_in_scope(call) && may(call, key))
		return key;
	auth_audit_refusal(call->b->auth, call, action, key, "forbidden");
	api_problem(call, 403, "forbidden",
		    "the token does not allow this with variable %s", key);
	return NULL;
}

void api_variable_headers_set(struct api_variable_headers *h,
			      const struct store_variable *v)
{
	snprintf(h->etag, sizeof(h->etag), "\"%lld\"", (long long)v->version);
	h->n = 0;
	h->items[h->n++] = (struct http_header){ "etag", h->etag };
	h->items[h->n++] = (struct http_header){ "cache-control", "no-store" };
	if (v->secret)
		h->items[h->n++] = (struct http_header){ "x-cronium-secret",
							 "1" };
}
