/* The fake backend: variables. The sidecar has checked who may what. */
#include <stdio.h>
#include <string.h>

#include "cli/dev_backend_impl.h"
#include "common/http/precondition.h"
#include "common/json.h"

#define SHOWN_BYTES 4096 /* of a value, before a line is cut */

/* If-Match and If-None-Match; false: answered. */
static bool take_expect(struct dev_call *call, int64_t *expect)
{
	if (http_precondition(call->req, expect)) {
		dev_problem(call, 400, "invalid_precondition", "%s",
			    HTTP_PRECONDITION_RULE);
		return false;
	}
	return true;
}

/* --- telling -------------------------------------------------------------- */

/* " -> 1", " -> secret (24 bytes)"; value NULL: of the variable. */
static void say_value(struct dev_call *call, const char *what,
		      const char *arrow, bool secret, const void *value,
		      size_t len)
{
	struct dev_log *log = call->b->state->log;

	if (secret)
		dev_log_say(log, "%s %s%s secret (%zu bytes)", what, call->key,
			    arrow, len);
	else
		dev_log_say(log, "%s %s%s %.*s", what, call->key, arrow,
			    (int)MIN(len, SHOWN_BYTES), (const char *)value);
}

static void refuse(struct dev_call *call, const char *what, int r)
{
	const struct dev_variable *v = dev_store_find(&call->b->state->store,
						      call->key);
	int64_t version = v ? v->version : 0;

	dev_log_say(call->b->state->log, "%s %s -> %s", what, call->key,
		    r == DEV_STORE_E_NOT_FOUND ? "absent"
		    : r == DEV_STORE_E_TYPE    ? "not a number"
		    : r == DEV_STORE_E_RANGE   ? "too large a number"
		    : r < 0                    ? "out of memory"
					       : "version conflict");
	if (r == DEV_STORE_E_NOT_FOUND)
		dev_problem(call, 404, "not_found", "there is no %s",
			    call->key);
	else if (r == DEV_STORE_E_CONFLICT)
		dev_problem_with(call, 412, "version_conflict", "version",
				 version,
				 "the variable is at version %lld, not the "
				 "expected one: read it again",
				 (long long)version);
	else if (r == DEV_STORE_E_EXISTS)
		dev_problem(call, 412, "version_conflict",
			    "the variable exists already");
	else if (r == DEV_STORE_E_TYPE)
		dev_problem(call, 409, "not_a_number", "not a number: %s",
			    call->key);
	else if (r == DEV_STORE_E_RANGE)
		dev_problem(call, 409, "range",
			    "it would become too large a number: %s",
			    call->key);
	else
		dev_no_memory(call);
}

/* --- reading -------------------------------------------------------------- */

void dev_get_variable(struct dev_call *call, const uint8_t *body, size_t len)
{
	struct dev_state *s = call->b->state;
	const struct dev_variable *v = dev_store_find(&s->store, call->key);

	if (!v) {
		refuse(call, "get_variable", DEV_STORE_E_NOT_FOUND);
		return;
	}
	say_value(call, "get_variable", " ->", v->secret, v->value.data,
		  v->value.len);
	dev_answer(call, 200, v, v->value.data, v->value.len);
}

void dev_list_variables(struct dev_call *call, const uint8_t *body, size_t len)
{
	struct dev_state *s = call->b->state;
	char prefix[VAR_KEY_MAX_BYTES + 1];
	const struct dev_variable *v;
	json_t *list = json_array();

	if (http_query_get(call->req->query, "prefix", prefix, sizeof(prefix)) <
	    0) {
		json_decref(list);
		dev_problem(call, 400, "invalid_query",
			    "the prefix is longer than %d bytes",
			    VAR_KEY_MAX_BYTES);
		return;
	}
	TAILQ_FOREACH(v, &s->store.variables, link)
		if (!strncmp(v->key, prefix, strlen(prefix)) &&
		    token_may_read(&s->claims, v->key))
			json_array_append_new(list, json_string(v->key));
	dev_log_say(s->log, "list_variables%s%s -> %zu names",
		    *prefix ? " " : "", prefix, json_array_size(list));
	dev_answer_json(call, 200, list);
}

/* --- writing -------------------------------------------------------------- */

/* The request beside its body, for its Idempotency-Key. */
static const char *what(const struct dev_call *call, const char *op,
			int64_t expect, char *out, size_t size)
{
	snprintf(out, size, "%s:%lld:%s", op, (long long)expect, call->key);
	return out;
}

static void after_write(struct dev_call *call, bool deleted)
{
	struct dev_state *s = call->b->state;

	if (deleted)
		json_object_set_new(s->deleted, call->key, json_true());
	else
		json_object_del(s->deleted, call->key);
	dev_changes_publish(call->b);
}

void dev_put_variable(struct dev_call *call, const uint8_t *body, size_t len)
{
	struct dev_state *s = call->b->state;
	const struct dev_variable *v = dev_store_find(&s->store, call->key);
	char text[VAR_KEY_MAX_BYTES + 64];
	bool secret = v && v->secret, created;
	int64_t expect;
	size_t at = 0;
	int r;

	if (!take_expect(call, &expect) ||
	    dev_repeated(call, DEV_KEYS_WRITES,
			 what(call, "put", expect, text, sizeof(text)), body,
			 len))
		return;
	if (json_check(body, len, &at)) {
		dev_problem_with(call, 400, "invalid_json", "offset",
				 (int64_t)at,
				 "the body is not one JSON value: byte %zu",
				 at);
		return;
	}
	r = secret ? dev_log_hide(s->log, body, len) : 0;
	if (!r)
		r = dev_store_put(&s->store, call->key, body, len, expect,
				  &created);
	if (r) {
		refuse(call, "set_variable", r);
		return;
	}
	say_value(call, "set_variable", "", secret, body, len);
	after_write(call, false);
	dev_answer(call, created ? 201 : 204,
		   dev_store_find(&s->store, call->key), NULL, 0);
}

void dev_delete_variable(struct dev_call *call, const uint8_t *body, size_t len)
{
	struct dev_state *s = call->b->state;
	char text[VAR_KEY_MAX_BYTES + 64];
	int64_t expect;
	int r;

	if (!take_expect(call, &expect))
		return;
	if (expect == HTTP_EXPECT_ABSENT) {
		dev_problem(call, 400, "invalid_precondition",
			    "If-None-Match makes no sense with DELETE");
		return;
	}
	if (dev_repeated(call, DEV_KEYS_WRITES,
			 what(call, "delete", expect, text, sizeof(text)), NULL,
			 0))
		return;
	r = dev_store_delete(&s->store, call->key, expect);
	if (r) {
		refuse(call, "delete_variable", r);
		return;
	}
	dev_log_say(s->log, "delete_variable %s", call->key);
	after_write(call, true);
	dev_answer(call, 204, NULL, NULL, 0);
}

/* {"by": NUMBER}; out is its text. False: answered. */
static bool take_by(struct dev_call *call, const uint8_t *body, size_t len,
		    struct buf *out)
{
	char err[128];
	_cleanup_json_ json_t *o = json_parse_object(body, len, err,
						     sizeof(err));
	const json_t *by = json_object_get(o, "by");

	if (!o)
		dev_problem(call, 400, "invalid_json", "%s", err);
	else if (by && !json_is_number(by))
		dev_problem(call, 400, "invalid_increment",
			    "\"by\" must be a number");
	else if ((by ? json_append(out, by) : buf_append_str(out, "1")) < 0 ||
		 !buf_cstr(out))
		dev_no_memory(call);
	else
		return true;
	return false;
}

void dev_increment_variable(struct dev_call *call, const uint8_t *body,
			    size_t len)
{
	struct dev_state *s = call->b->state;
	_cleanup_(buf_deinit) struct buf by = { 0 };
	_cleanup_(buf_deinit_secret) struct buf reply = { 0 };
	char text[VAR_KEY_MAX_BYTES + 64];
	const struct dev_variable *v;
	int r;

	if (!take_by(call, body, len, &by) ||
	    dev_repeated(call, DEV_KEYS_WRITES,
			 what(call, "increment", 0, text, sizeof(text)),
			 by.data, by.len))
		return;
	r = dev_store_increment(&s->store, call->key, (char *)by.data);
	if (r) {
		refuse(call, "increment_variable", r);
		return;
	}
	v = dev_store_find(&s->store, call->key);
	say_value(call, "increment_variable", " ->", v->secret, v->value.data,
		  v->value.len);
	after_write(call, false);
	if (buf_printf(&reply, "{\"value\":%.*s}", (int)v->value.len,
		       (char *)v->value.data) < 0)
		dev_no_memory(call);
	else
		dev_answer(call, 200, v, reply.data, reply.len);
}
