/* Variables: what changes them. */
#include <errno.h>

#include "backend/api.h"
#include "backend/api_handlers.h"
#include "backend/api_variable.h"
#include "backend/change_hub.h"
#include "backend/live.h"
#include "backend/store_variable.h"
#include "common/fail_point.h"
#include "common/http/precondition.h"
#include "common/json.h"

/* If-Match and If-None-Match as the version that the store is to expect:
 * STORE_EXPECT_* are the same numbers. */
static bool variable_expect(struct api_call *call, int64_t *expect)
{
	if (http_precondition(call->req, expect)) {
		api_problem(call, 400, "invalid_precondition", "%s",
			    HTTP_PRECONDITION_RULE);
		return false;
	}
	return true;
}

static bool variable_writer(struct api_call *call, struct store_writer *w)
{
	const char *key;

	*w = (struct store_writer){ 0 };
	if (!api_idempotency_key(call, &key))
		return false;
	if (api_is_execution(call)) {
		w->execution = call->caller.token->claims.subject;
		w->idempotency_key = key;
	}
	return true;
}

static void write_problem(struct api_call *call, int r,
			  const struct store_result *result)
{
	if (r == STORE_E_CONFLICT)
		api_problem_with(call, 412, "version_conflict", "version",
				 result->variable.version,
				 "the variable is at version %lld, not the "
				 "expected one: read it again",
				 (long long)result->variable.version);
	else if (r == STORE_E_EXISTS)
		api_problem(call, 412, "version_conflict",
			    "the variable exists already");
	else
		api_store_problem(call, r, result, api_param(call, "key"));
}

/* Those who watch are told, also when the writer has left. */
static void publish(struct backend *b, int r, const struct store_result *result,
		    bool deleted)
{
	if (r == 0 && !result->repeated)
		change_hub_publish(b->changes, &result->variable, deleted);
}

/* --- put ----------------------------------------------------------------- */

static void reply_put(struct api_call *call, int r,
		      const struct store_result *result)
{
	struct api_variable_headers h;

	if (r) {
		write_problem(call, r, result);
		return;
	}
	api_variable_headers_set(&h, &result->variable);
	api_reply(call, result->created ? 201 : 204, h.items, h.n, NULL, 0);
}

static void on_put(struct backend *b, struct api_call *call, int r,
		   const struct store_result *result)
{
	FAIL_POINT("backend.variable.committed");
	if (call)
		reply_put(call, r, result);
	publish(b, r, result, false);
}

static void put(struct api_call *call, const struct store_variable_put *put)
{
	struct store_done done;

	if (api_done_always(call, on_put, &done))
		api_start(call, store_variable_put(call->b->store, put, done));
}

/* ?secret=1 and ?secret=0; an execution keeps what it is. */
static bool put_secret(struct api_call *call, enum store_secret *secret)
{
	int64_t wanted;

	*secret = STORE_SECRET_KEEP;
	if (!api_query_int(call, "secret", 0, 1, -1, &wanted))
		return false;
	if (wanted >= 0 && !api_is_execution(call))
		*secret = wanted ? STORE_SECRET_ON : STORE_SECRET_OFF;
	return true;
}

static void on_put_body(struct http_exchange *ex, const uint8_t *body,
			size_t len, void *data)
{
	struct api_call *call = data;
	struct store_variable_put request = {
		.key = api_param(call, "key"),
		.value = { body, len },
		.audit = api_audit(call, "variable.put",
				   api_param(call, "key")),
	};
	size_t at = 0;

	if (!variable_expect(call, &request.expect) ||
	    !put_secret(call, &request.secret) ||
	    !variable_writer(call, &request.writer))
		return;
	if (json_check(body, len, &at))
		api_problem_with(call, 400, "invalid_json", "offset",
				 (int64_t)at,
				 "the body is not one JSON value: byte %zu",
				 at);
	else
		put(call, &request);
}

API_HANDLER(api_variable_put)
{
	struct api_call *call = ctx;

	if (api_variable_key(call, api_variable_may_write, "variable.put"))
		http_exchange_collect(ex, call->b->config->max_value_bytes,
				      on_put_body);
}

/* --- delete -------------------------------------------------------------- */

static void on_deleted(struct backend *b, struct api_call *call, int r,
		       const struct store_result *result)
{
	if (call && r)
		write_problem(call, r, result);
	else if (call)
		api_reply_empty(call, 204);
	publish(b, r, result, true);
}

API_HANDLER(api_variable_delete)
{
	struct api_call *call = ctx;
	const char *key = api_variable_key(call, api_variable_may_write,
					   "variable.delete");
	struct store_variable_delete del = { .key = key };
	struct store_done done;

	if (!key || !variable_expect(call, &del.expect) ||
	    !variable_writer(call, &del.writer))
		return;
	if (del.expect == STORE_EXPECT_ABSENT) {
		api_problem(call, 400, "invalid_precondition",
			    "If-None-Match makes no sense with DELETE");
		return;
	}
	del.audit = api_audit(call, "variable.delete", key);
	if (api_done_always(call, on_deleted, &done))
		api_start(call,
			  store_variable_delete(call->b->store, &del, done));
}

/* --- increment ----------------------------------------------------------- */

static void reply_incremented(struct api_call *call, int r,
			      const struct store_result *result)
{
	struct api_variable_headers h;
	struct buf body = { 0 };

	if (r) {
		write_problem(call, r, result);
		return;
	}
	api_variable_headers_set(&h, &result->variable);
	h.items[h.n++] = (struct http_header){ "content-type",
					       "application/json" };
	r = buf_printf(&body, "{\"value\":%.*s}",
		       (int)result->variable.value.len,
		       (const char *)result->variable.value.data);
	if (r)
		api_start(call, r);
	else
		api_reply(call, 200, h.items, h.n, body.data, body.len);
	buf_deinit_secret(&body);
}

static void on_incremented(struct backend *b, struct api_call *call, int r,
			   const struct store_result *result)
{
	if (call)
		reply_incremented(call, r, result);
	publish(b, r, result, false);
}

static void increment(struct api_call *call, const char *by)
{
	struct store_variable_increment inc = {
		.key = api_param(call, "key"),
		.by = by,
	};
	struct store_done done;

	if (!variable_writer(call, &inc.writer))
		return;
	inc.audit = api_audit(call, "variable.increment", inc.key);
	if (api_done_always(call, on_incremented, &done))
		api_start(call,
			  store_variable_increment(call->b->store, &inc, done));
}

static void on_increment_body(struct http_exchange *ex, const uint8_t *body,
			      size_t len, void *data)
{
	struct api_call *call = data;
	_cleanup_json_ json_t *o = api_body_object(call, body, len);
	const json_t *by = json_object_get(o, "by");
	struct buf text = { 0 };

	if (!o)
		return;
	if (by && !json_is_number(by))
		api_problem(call, 400, "invalid_increment",
			    "\"by\" must be a number");
	else if (by && (json_append(&text, by) || !buf_cstr(&text)))
		api_start(call, -ENOMEM);
	else
		increment(call, by ? buf_cstr(&text) : "1");
	buf_deinit(&text);
}

/* An increment tells the value. */
static bool may_increment(const struct api_call *call, const char *key)
{
	return api_variable_may_write(call, key) &&
	       api_variable_may_read(call, key);
}

API_HANDLER(api_variable_increment)
{
	struct api_call *call = ctx;

	if (api_variable_key(call, may_increment, "variable.increment"))
		http_exchange_collect(ex, API_BODY_SMALL_BYTES,
				      on_increment_body);
}
