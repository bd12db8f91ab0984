/* Variables: one with its value, and which there are. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/api.h"
#include "backend/api_handlers.h"
#include "backend/api_variable.h"
#include "backend/store_admin.h"
#include "backend/store_variable.h"
#include "common/json.h"
#include "common/var_key.h"

#define VARIABLE_LIST_MAX 10000 /* names in one reply */

/* --- GET one ------------------------------------------------------------- */

static void reply_value(struct api_call *call, const struct store_variable *v)
{
	const char *none = http_request_header(call->req, "if-none-match");
	struct api_variable_headers h;

	api_variable_headers_set(&h, v);
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
	const char *key = api_variable_key(call, api_variable_may_read,
					   "variable.get");

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
	if (api_is_execution(call))
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
		if (api_variable_may_read(call, last->key))
			json_array_append_new(l->items,
					      variable_entry(call, last));
	}
	if (result->variables.more && last &&
	    json_array_size(l->items) < VARIABLE_LIST_MAX) {
		snprintf(l->after, sizeof(l->after), "%s", last->key);
		list_more(call);
	} else {
		api_reply_json(call, 200,
			       api_is_execution(call)
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
	if (api_variable_in_scope(call))
		list_more(call);
	else
		api_problem(call, 403, "forbidden",
			    "the token does not allow variables");
}
