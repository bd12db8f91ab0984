/* Tools: what there is. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/api.h"
#include "backend/api_handlers.h"
#include "backend/store_variable.h"
#include "backend/tool_native.h"
#include "backend/tool_registry.h"
#include "backend/tools.h"
#include "common/json.h"

#define API_TOOL_FILE_BYTES 256

/* --- lists --------------------------------------------------------------- */

static json_t *entry_actions(const struct tool_entry *e)
{
	json_t *actions = json_array();

	for (size_t i = 0; e->tool && i < e->tool->n_actions; i++)
		json_array_append_new(actions,
				      json_string(e->tool->actions[i].name));
	return actions;
}

static json_t *entry_json(const struct tool_entry *e, json_t *actions)
{
	return json_pack("{s:s,s:s?,s:s,s:s?,s:o}", "name", e->name, "summary",
			 e->tool ? e->tool->summary : NULL, "source", e->source,
			 "problem", e->problem, "actions", actions);
}

API_HANDLER(api_tool_list)
{
	struct api_call *call = ctx;
	struct tool_registry *registry = tools_registry(call->b->tools);
	json_t *list = json_array();
	const struct tool_entry *e;

	json_array_append_new(list, tool_native_describe(call->b->tools->native,
							 false));
	for (size_t i = 0; (e = tool_registry_at(registry, i)); i++)
		json_array_append_new(list, entry_json(e, entry_actions(e)));
	api_reply_json(call, 200, json_pack("{s:o}", "tools", list));
}

/* --- one in full ---------------------------------------------------------- */

/* Reads which of its secrets are there, one after the other. */
struct tool_show {
	struct tool_entry *entry;
	json_t *credentials;
	size_t next;
};

static void show_next(struct api_call *call);

static void on_show_end(struct api_call *call)
{
	struct tool_show *s = call->state;

	if (!s)
		return;
	tool_entry_unref(s->entry);
	json_decref(s->credentials);
	free(s);
}

static const char *idempotent_name(enum tool_idempotent i)
{
	switch (i) {
	case TOOL_IDEMPOTENT_YES:
		return "yes";
	case TOOL_IDEMPOTENT_METHOD:
		return "by method";
	default:
		return "no";
	}
}

static json_t *show_actions(const struct tool_entry *e)
{
	json_t *list = json_array();

	for (size_t i = 0; e->tool && i < e->tool->n_actions; i++) {
		const struct tool_action *a = &e->tool->actions[i];

		json_array_append_new(
			list,
			json_pack("{s:s,s:s?,s:s,s:I,s:O?}", "name", a->name,
				  "summary", a->summary, "idempotent",
				  idempotent_name(a->idempotent), "timeout_ms",
				  (json_int_t)a->timeout_ms, "params",
				  a->params_source));
	}
	return list;
}

static void show_finish(struct api_call *call)
{
	struct tool_show *s = call->state;
	json_t *o = entry_json(s->entry, show_actions(s->entry));

	if (o)
		json_object_set(o, "credentials", s->credentials);
	api_reply_json(call, 200, o);
}

static json_t *reference_text(const struct tool_reference *r)
{
	_cleanup_(buf_deinit) struct buf text = { 0 };
	int e = buf_append_str(&text, "params");

	for (size_t i = 0; !e && i < r->n_names; i++)
		e = buf_printf(&text, ".%s", r->names[i]);
	return e ? NULL : json_stringn((char *)text.data, text.len);
}

static void show_add(struct api_call *call, json_t *present)
{
	struct tool_show *s = call->state;
	const struct tool_credential *c =
		&s->entry->tool->credentials[s->next++];

	json_array_append_new(
		s->credentials,
		json_pack("{s:s,s:s?,s:s?,s:b,s:o,s:o}", "name", c->name,
			  "secret", c->secret, "summary", c->summary,
			  "optional", c->optional, "from",
			  c->secret ? json_null() : reference_text(&c->from),
			  "present", present));
	show_next(call);
}

/* Only whether it is there: the list does not decrypt. */
static void on_secret(int r, const struct store_result *result, void *ctx)
{
	struct api_call *call = ctx;
	struct tool_show *s = call->state;
	const char *key = s->entry->tool->credentials[s->next].secret;
	bool present = !r && result->variables.n &&
		       !strcmp(result->variables.items[0].key, key) &&
		       result->variables.items[0].secret;

	if (r)
		api_store_problem(call, r, result, "variables");
	else
		show_add(call, json_boolean(present));
}

static void show_next(struct api_call *call)
{
	struct tool_show *s = call->state;
	const struct tool *t = s->entry->tool;
	struct store_variable_query query = { .limit = 1 };

	if (!t || s->next == t->n_credentials) {
		show_finish(call);
		return;
	}
	query.prefix = t->credentials[s->next].secret;
	if (query.prefix)
		api_start(call, store_variable_list(call->b->store, &query,
						    api_done(call, on_secret)));
	else
		show_add(call, json_null());
}

API_HANDLER(api_tool_get)
{
	struct api_call *call = ctx;
	const char *name = api_param(call, "tool");
	struct tool_entry *e =
		tool_registry_find(tools_registry(call->b->tools), name);
	struct tool_show *s;

	if (!strcmp(name, TOOL_NATIVE_NAME)) {
		api_reply_json(call, 200,
			       tool_native_describe(call->b->tools->native,
						    true));
		return;
	}
	if (!e) {
		api_problem(call, 404, "tool_not_found",
			    "there is no tool %.80s", name);
		return;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		api_start(call, -ENOMEM);
		return;
	}
	s->entry = tool_entry_ref(e);
	s->credentials = json_array();
	call->state = s;
	call->on_end = on_show_end;
	show_next(call);
}

/* --- a file that is not installed yet ------------------------------------- */

static void on_check_body(struct http_exchange *ex, const uint8_t *body,
			  size_t len, void *data)
{
	struct api_call *call = data;
	char file[API_TOOL_FILE_BYTES];
	struct tool_entry *e;

	if (!api_query_str(call, "file", file, sizeof(file)))
		return;
	e = tool_entry_load(file, file, body, len);
	if (!e)
		api_start(call, -ENOMEM);
	else
		api_reply_json(call, 200, entry_json(e, show_actions(e)));
	tool_entry_unref(e);
}

API_HANDLER(api_tool_check)
{
	http_exchange_collect(ex, TOOL_REGISTRY_FILE_MAX_BYTES, on_check_body);
}
