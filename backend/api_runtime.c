/* What a sidecar asks on behalf of its script, beside variables. The
 * execution is the token's subject. */
#include <string.h>

#include "backend/api.h"
#include "backend/api_handlers.h"
#include "backend/job_json.h"
#include "backend/live.h"
#include "backend/store_job.h"
#include "backend/store_runtime.h"
#include "common/json.h"

static const struct token_claims *claims_of(const struct api_call *call)
{
	return &call->caller.token->claims;
}

/* A token that is only for reading sets no condition; its output is what the
 * job is for. */
static bool writable(struct api_call *call)
{
	if (!claims_of(call)->read_only)
		return true;
	api_problem(call, 403, "forbidden", "the token is read-only");
	return false;
}

static bool runtime_writer(struct api_call *call, struct store_writer *w)
{
	w->execution = claims_of(call)->subject;
	return api_idempotency_key(call, &w->idempotency_key);
}

static void on_written(int r, const struct store_result *result, void *ctx)
{
	if (r)
		api_store_problem(ctx, r, result, "execution");
	else
		api_reply_empty(ctx, 204);
}

/* --- input --------------------------------------------------------------- */

static void on_input(int r, const struct store_result *result, void *ctx)
{
	static const struct http_header headers[] = {
		{ "content-type", "application/json" },
		{ "cache-control", "no-store" },
	};
	struct api_call *call = ctx;

	if (r)
		api_store_problem(call, r, result, "input");
	else
		api_reply(call, 200, headers, ARRAY_SIZE(headers),
			  result->blob.data, result->blob.len);
}

API_HANDLER(api_runtime_input)
{
	struct api_call *call = ctx;

	if (api_in_scope(call, TOKEN_SCOPE_INPUT, "input"))
		api_start(call,
			  store_job_read(call->b->store, claims_of(call)->job,
					 STORE_INPUT,
					 api_done(call, on_input)));
}

/* --- output -------------------------------------------------------------- */

static void on_output_body(struct http_exchange *ex, const uint8_t *body,
			   size_t len, void *data)
{
	struct api_call *call = data;
	struct store_output_set set = {
		.value = { body, len },
		.audit = api_audit(call, "output.set", claims_of(call)->job),
	};
	size_t at = 0;

	if (!runtime_writer(call, &set.writer))
		return;
	if (json_check(body, len, &at))
		api_problem_with(call, 400, "invalid_json", "offset",
				 (int64_t)at,
				 "the output is not one JSON value: byte %zu",
				 at);
	else
		api_start(call, store_output_set(call->b->store, &set,
						 api_done(call, on_written)));
}

API_HANDLER(api_runtime_output)
{
	struct api_call *call = ctx;

	if (api_in_scope(call, TOKEN_SCOPE_OUTPUT, "output"))
		http_exchange_collect(ex, call->b->config->max_output_bytes,
				      on_output_body);
}

/* --- condition ----------------------------------------------------------- */

static void on_condition(int r, const struct store_result *result, void *ctx)
{
	struct api_call *call = ctx;

	if (r == STORE_E_NOT_FOUND)
		api_problem(call, 404, "no_condition",
			    "no condition has been set");
	else if (r)
		api_store_problem(call, r, result, "condition");
	else
		api_reply_json(call, 200, json_boolean(result->condition));
}

API_HANDLER(api_runtime_condition_get)
{
	struct api_call *call = ctx;

	if (api_in_scope(call, TOKEN_SCOPE_CONDITION, "condition"))
		api_start(call,
			  store_condition_get(call->b->store,
					      claims_of(call)->subject,
					      api_done(call, on_condition)));
}

/* true, false, or {"condition": true}; -1 for anything else. */
static int condition_parse(const uint8_t *body, size_t len)
{
	_cleanup_json_ json_t *v = json_loadb((const char *)body, len,
					      JSON_DECODE_ANY, NULL);
	const json_t *flag = json_is_object(v) ? json_object_get(v, "condition")
					       : v;

	return json_is_boolean(flag) ? json_is_true(flag) : -1;
}

static void on_condition_body(struct http_exchange *ex, const uint8_t *body,
			      size_t len, void *data)
{
	struct api_call *call = data;
	int value = condition_parse(body, len);
	struct store_condition_set set = {
		.value = value > 0,
		.audit = api_audit(call, "condition.set", claims_of(call)->job),
	};

	if (!runtime_writer(call, &set.writer))
		return;
	if (value < 0)
		api_problem(call, 400, "invalid_condition",
			    "the body must be true, false or "
			    "{\"condition\":true}");
	else
		api_start(call,
			  store_condition_set(call->b->store, &set,
					      api_done(call, on_written)));
}

API_HANDLER(api_runtime_condition_set)
{
	struct api_call *call = ctx;

	if (api_in_scope(call, TOKEN_SCOPE_CONDITION, "condition") &&
	    writable(call))
		http_exchange_collect(ex, API_BODY_SMALL_BYTES,
				      on_condition_body);
}

/* --- context ------------------------------------------------------------- */

static void on_execution(int r, const struct store_result *result, void *ctx)
{
	struct api_call *call = ctx;

	if (r)
		api_store_problem(call, r, result, "execution");
	else
		api_reply_json(call, 200,
			       job_context_json(&result->job,
						claims_of(call)->read_only));
}

API_HANDLER(api_runtime_context)
{
	struct api_call *call = ctx;

	if (api_in_scope(call, TOKEN_SCOPE_CONTEXT, "context"))
		api_start(call,
			  store_execution_get(call->b->store,
					      claims_of(call)->subject,
					      api_done(call, on_execution)));
}
