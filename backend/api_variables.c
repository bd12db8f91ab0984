/*
 * Variables, for administrators (/v1/variables) and for executions
 * (/v1/runtime/variables): the same handlers. An execution sees what its
 * token lets it, and gets a plain list of names.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/api.h"
#include "backend/api_handlers.h"
#include "backend/change_hub.h"
#include "backend/live.h"
#include "backend/store_admin.h"
#include "backend/store_variable.h"
#include "common/fail_point.h"
#include "common/http/precondition.h"
#include "common/json.h"
#include "common/var_key.h"

#define VARIABLE_LIST_MAX 10000 /* names in one reply */

static bool is_execution(const struct api_call *call)
{
	return call->caller.kind == AUTH_EXECUTION;
}

static bool may_read(const struct api_call *call, const char *key)
{
	return !is_execution(call) ||
	       token_may_read(&call->caller.token->claims, key);
}

static bool may_write(const struct api_call *call, const char *key)
{
	return !is_execution(call) ||
	       token_may_write(&call->caller.token->claims, key);
}

/* An increment tells the value. */
static bool may_increment(const struct api_call *call, const char *key)
{
	return may_write(call, key) && may_read(call, key);
}

static bool has_scope(const struct api_call *call)
{
	return !is_execution(call) ||
	       (call->caller.token->claims.scopes & TOKEN_SCOPE_VARIABLES);
}

/* The key of the path, if it is one and the caller may; NULL: answered. */
static const char *variable_key(struct api_call *call,
				bool (*may)(const struct api_call *call,
					    const char *key),
				const char *action)
{
	const char *key = api_param(call, "key");

	if (!var_key_valid(key)) {
		api_problem(call, 400, "invalid_key",
			    "a variable's key is " VAR_KEY_RULE);
		return NULL;
	}
	if (has_scope(call) && may(call, key))
		return key;
	auth_audit_refusal(call->b->auth, call, action, key, "forbidden");
	api_problem(call, 403, "forbidden",
		    "the token does not allow this with variable %s", key);
	return NULL;
}

/* --- versions and ETags -------------------------------------------------- */

struct variable_headers {
	struct http_header items[4];
	size_t n;
	char etag[32];
};

static void variable_headers_set(struct variable_headers *h,
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

/* --- GET one ------------------------------------------------------------- */

static void reply_value(struct api_call *call, const struct store_variable *v)
{
	const char *none = http_request_header(call->req, "if-none-match");
	struct variable_headers h;

	variable_headers_set(&h, v);
	h.items[h.n++] = (struct http_header){ "content-type",
					       "application/json" };
	if (none && !strcmp(none, h.etag))
		api_reply(call, 304, h.items, h.n, NULL, 0);
	else
		api_reply(call, 200, h.items, h.n, v->value.data, v->value.len);
}

/* A secret that waits for its audit entry to be on disk. */
struct secret_read {
	struct store_variable variable;
	struct buf value;
};

static void on_secret_end(struct api_call *call)
{
	struct secret_read *s = call->state;

	buf_deinit_secret(&s->value);
	free(s);
}

static void on_secret_audited(int r, const struct store_result *result,
			      void *ctx)
{
	struct api_call *call = ctx;
	struct secret_read *s = call->state;

	if (r)
		api_store_problem(call, r, result, "audit entry");
	else
		reply_value(call, &s->variable);
}

/* No secret leaves before its reading is on record. */
static void audit_secret(struct api_call *call, const struct store_variable *v)
{
	struct store_audit entry = api_audit(call, "secret.read",
					     api_param(call, "key"));
	struct secret_read *s = calloc(1, sizeof(*s));

	if (!s || buf_append(&s->value, v->value.data, v->value.len)) {
		free(s);
		api_start(call, -ENOMEM);
		return;
	}
	s->variable = *v;
	s->variable.key = NULL;
	s->variable.value.data = s->value.data;
	call->state = s;
	call->on_end = on_secret_end;
	entry.result = "ok";
	api_start(call, store_audit_append(call->b->store, &entry,
					   api_done(call, on_secret_audited)));
}

static void on_variable(int r, const struct store_result *result, void *ctx)
{
	struct api_call *call = ctx;

	if (r)
		api_store_problem(call, r, result, api_param(call, "key"));
	else if (result->variable.secret)
		audit_secret(call, &result->variable);
	else
		reply_value(call, &result->variable);
}

API_HANDLER(api_variable_get)
{
	struct api_call *call = ctx;
	const char *key = variable_key(call, may_read, "variable.get");

	if (key)
		api_start(call,
			  store_variable_get(call->b->store, key,
					     api_done(call, on_variable)));
}

/* --- GET all ------------------------------------------------------------- */

struct variable_list {
	char prefix[VAR_KEY_MAX_BYTES + 1];
	char after[VAR_KEY_MAX_BYTES + 1];
	json_t *items;
};

static void on_list_end(struct api_call *call)
{
	struct variable_list *l = call->state;

	json_decref(l->items);
	free(l);
}

static json_t *variable_entry(const struct api_call *call,
			      const struct store_variable *v)
{
	if (is_execution(call))
		return json_string(v->key);
	return json_pack("{s:s,s:b,s:I,s:I,s:I}", "key", v->key, "secret",
			 v->secret, "version", (json_int_t)v->version,
			 "updated_ms", (json_int_t)v->updated_ms, "bytes",
			 (json_int_t)v->bytes);
}

static void list_more(struct api_call *call);

static void on_list(int r, const struct store_result *result, void *ctx)
{
	struct api_call *call = ctx;
	struct variable_list *l = call->state;
	const struct store_variable *last = NULL;

	if (r) {
		api_store_problem(call, r, result, "variable");
		return;
	}
	for (size_t i = 0; i < result->variables.n; i++) {
		last = &result->variables.items[i];
		if (may_read(call, last->key))
			json_array_append_new(l->items,
					      variable_entry(call, last));
	}
	if (result->variables.more && last &&
	    json_array_size(l->items) < VARIABLE_LIST_MAX) {
		snprintf(l->after, sizeof(l->after), "%s", last->key);
		list_more(call);
	} else {
		api_reply_json(call, 200,
			       is_execution(call)
				       ? json_incref(l->items)
				       : json_pack("{s:O}", "variables",
						   l->items));
	}
}

static void list_more(struct api_call *call)
{
	const struct variable_list *l = call->state;
	const struct store_variable_query query = {
		.prefix = l->prefix,
		.after = *l->after ? l->after : NULL,
		.limit = STORE_LIST_MAX,
	};

	api_start(call, store_variable_list(call->b->store, &query,
					    api_done(call, on_list)));
}

API_HANDLER(api_variable_list)
{
	struct api_call *call = ctx;
	struct variable_list *l = calloc(1, sizeof(*l));

	if (!l || !(l->items = json_array())) {
		free(l);
		api_start(call, -ENOMEM);
		return;
	}
	call->state = l;
	call->on_end = on_list_end;
	if (!api_query_str(call, "prefix", l->prefix, sizeof(l->prefix)))
		return;
	if (has_scope(call))
		list_more(call);
	else
		api_problem(call, 403, "forbidden",
			    "the token does not allow variables");
}

/* --- writing ------------------------------------------------------------- */

static bool variable_writer(struct api_call *call, struct store_writer *w)
{
	const char *key;

	*w = (struct store_writer){ 0 };
	if (!api_idempotency_key(call, &key))
		return false;
	if (is_execution(call)) {
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

static void reply_put(struct api_call *call, int r,
		      const struct store_result *result)
{
	struct variable_headers h;

	if (r) {
		write_problem(call, r, result);
		return;
	}
	variable_headers_set(&h, &result->variable);
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
	if (wanted >= 0 && !is_execution(call))
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

	if (variable_key(call, may_write, "variable.put"))
		http_exchange_collect(ex, call->b->config->max_value_bytes,
				      on_put_body);
}

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
	const char *key = variable_key(call, may_write, "variable.delete");
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
	struct variable_headers h;
	struct buf body = { 0 };

	if (r) {
		write_problem(call, r, result);
		return;
	}
	variable_headers_set(&h, &result->variable);
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

API_HANDLER(api_variable_increment)
{
	struct api_call *call = ctx;

	if (variable_key(call, may_increment, "variable.increment"))
		http_exchange_collect(ex, API_BODY_SMALL_BYTES,
				      on_increment_body);
}
