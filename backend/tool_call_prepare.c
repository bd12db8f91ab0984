/* A call until it can be sent: the caller's job, the secrets, the request. */
#include <errno.h>
#include <string.h>

#include "backend/live.h"
#include "backend/store_runtime.h"
#include "backend/store_variable.h"
#include "backend/tool_call_impl.h"
#include "backend/tool_mask.h"
#include "backend/tool_registry.h"
#include "backend/tool_request.h"
#include "backend/tool_schema.h"
#include "backend/tool_template.h"
#include "backend/tool_violations.h"
#include "common/json.h"
#include "common/var_key.h"

static void call_next_credential(struct tool_call *c);

static void call_refuse_memory(struct tool_call *c)
{
	tool_call_refuse(c, 503, "out_of_memory", NULL,
			 "nothing was sent: the backend is out of memory; try "
			 "again");
}

/* --- the request ---------------------------------------------------------- */

/* The violations without secrets, as members of the problem. */
static void call_refuse_params(struct tool_call *c,
			       const struct tool_violations *v)
{
	_cleanup_(buf_deinit) struct buf text = { 0 }, masked = { 0 };
	_cleanup_json_ json_t *members = NULL, *list = NULL;

	if (v->list)
		list = tool_mask_json(c->mask, v->list);
	members = list ? json_pack("{s:O}", "violations", list) : NULL;
	if (!members || tool_violations_text(v, &text) ||
	    tool_mask_text(c->mask, (char *)text.data, text.len, &masked) ||
	    !buf_cstr(&masked))
		call_refuse_memory(c);
	else
		tool_call_refuse(c, 422, "invalid_params", members,
				 "%s cannot be called so: %s", c->target,
				 (char *)masked.data);
}

static void call_refuse_credentials(struct tool_call *c,
				    const struct tool_violations *v)
{
	_cleanup_(buf_deinit) struct buf text = { 0 };

	if (tool_violations_text(v, &text) || !buf_cstr(&text))
		call_refuse_memory(c);
	else
		tool_call_refuse(c, 424, "credential_missing", NULL,
				 "%s cannot be done with the credentials that "
				 "are stored: %s",
				 c->target, (char *)text.data);
}

/* What would be sent, and nothing else. */
static void call_describe(struct tool_call *c)
{
	_cleanup_json_ json_t *request = NULL, *masked = NULL, *reply = NULL;

	if (!tool_rendered_describe(c->rendered, &request))
		masked = tool_mask_json(c->mask, request);
	reply = masked ? json_pack("{s:b,s:O}", "dry_run", 1, "request", masked)
		       : NULL;
	if (!reply) {
		call_refuse_memory(c);
		return;
	}
	tool_reply_value(&c->reply, reply);
	tool_call_end(c);
}

/* A call may take minutes, and a tree may be a hundred times its text. */
static int call_pack_params(struct tool_call *c)
{
	int r = json_append(&c->params_text, c->params);

	json_decref(c->params);
	c->params = NULL;
	return r;
}

static void call_render(struct tool_call *c)
{
	const struct tool_template_values values = {
		.params = c->params,
		.credentials = c->credentials,
		.context = c->context,
		.idempotency_key = c->idempotency_key,
		.masked = c->dry_run,
	};
	struct tool_violations v = { 0 };
	int r = tool_request_render(c->action, &values, &v, &c->rendered);

	if (!r && c->rendered->kind == TOOL_REQUEST_EMAIL)
		r = tool_mail_id(&c->rendered->email,
				 c->token ? c->token->claims.subject : NULL,
				 c->idempotency_key, c->message_id);
	if (!r && !c->dry_run)
		r = call_pack_params(c);
	if (r == TOOL_E_INVALID)
		call_refuse_params(c, &v);
	else if (r == TOOL_REQUEST_E_CREDENTIALS)
		call_refuse_credentials(c, &v);
	else if (r)
		call_refuse_memory(c);
	else if (c->dry_run)
		call_describe(c);
	else
		tool_call_begin(c);
	tool_violations_deinit(&v);
}

/* --- credentials ---------------------------------------------------------- */

static const struct tool_credential *call_credential(const struct tool_call *c)
{
	return &c->tool->tool->credentials[c->next_credential];
}

static void call_refuse_missing(struct tool_call *c, const char *key,
				const char *why)
{
	tool_call_refuse(c, 424, "credential_missing", NULL,
			 "%s needs the secret %s, which %s; set it: cronium "
			 "vars set --secret %s -",
			 c->target, key, why, key);
}

/* A JSON string is its text. */
static int call_take_credential(struct tool_call *c, const char *name,
				const struct store_blob *value)
{
	json_t *v = json_loadb(value->data, value->len,
			       JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, NULL);
	int r = tool_mask_add(c->mask, value->data, value->len);

	if (v && !json_is_string(v)) {
		json_decref(v);
		v = NULL;
	}
	if (!v)
		v = json_stringn(value->data, value->len);
	if (json_object_set_new(c->credentials, name, v))
		r = -ENOMEM;
	return r;
}

static void on_credential(int r, const struct store_result *result, void *ctx)
{
	struct tool_call *c = ctx;
	const struct tool_credential *credential = call_credential(c);
	const char *named = tool_credential_named(credential, c->params);
	const char *key = credential->secret ? credential->secret : named;

	if (r == STORE_E_NOT_FOUND && credential->optional &&
	    credential->secret)
		r = 0;
	else if (r == STORE_E_NOT_FOUND)
		return call_refuse_missing(c, key, "is not set");
	else if (r)
		return tool_call_store_failed(c, r, result);
	else if (!result->variable.secret)
		return call_refuse_missing(c, key,
					   "is a plain variable, not a secret");
	else
		r = call_take_credential(c, credential->name,
					 &result->variable.value);
	if (r)
		return call_refuse_memory(c);
	c->next_credential++;
	call_next_credential(c);
}

/* A secret that the script names must be one that it may read. */
static bool call_may_use(struct tool_call *c, const char *key)
{
	if (!var_key_valid(key))
		tool_call_refuse(
			c, 422, "invalid_params", NULL,
			"%s: the name of a secret must be " VAR_KEY_RULE,
			c->target);
	else if (c->token && !token_may_read(&c->token->claims, key))
		tool_call_refuse(c, 403, "forbidden", NULL,
				 "the token does not allow reading %s", key);
	else
		return true;
	return false;
}

static void call_next_credential(struct tool_call *c)
{
	const struct tool_credential *credential;
	const char *key = NULL;
	int r;

	for (; c->next_credential < c->tool->tool->n_credentials;
	     c->next_credential++) {
		credential = call_credential(c);
		key = credential->secret;
		if (!key)
			key = tool_credential_named(credential, c->params);
		if (key && !credential->secret && !call_may_use(c, key))
			return;
		if (key)
			break;
	}
	if (!key) {
		call_render(c);
		return;
	}
	r = store_variable_get(c->tools->b->store, key,
			       (struct store_done){ &c->owner, on_credential,
						    c });
	if (r)
		tool_call_store_failed(c, r, NULL);
}

/* --- the caller's job ----------------------------------------------------- */

static void on_job(int r, const struct store_result *result, void *ctx)
{
	struct tool_call *c = ctx;
	_cleanup_json_ json_t *spec = NULL;

	if (r) {
		tool_call_store_failed(c, r, result);
		return;
	}
	spec = json_loadb(result->job.spec.data, result->job.spec.len, 0, NULL);
	if (!spec) {
		call_refuse_memory(c);
		return;
	}
	if (json_get_bool(spec, "dry_run", false))
		c->dry_run = true;
	tool_call_set_state(c, TOOL_CALL_CREDENTIALS);
	call_next_credential(c);
}

void tool_call_load(struct tool_call *c)
{
	int r;

	if (!c->token) {
		tool_call_set_state(c, TOOL_CALL_CREDENTIALS);
		call_next_credential(c);
		return;
	}
	r = store_execution_get(c->tools->b->store, c->token->claims.subject,
				(struct store_done){ &c->owner, on_job, c });
	if (r)
		tool_call_store_failed(c, r, NULL);
}
