/* The fake backend: tool actions, answered by the fixtures. */
#include <stdio.h>
#include <string.h>

#include "cli/dev_backend_impl.h"
#include "cli/dev_fixtures.h"
#include "cli/dev_json.h"
#include "common/http/problem.h"
#include "common/json.h"

#define NAME_SHOWN_BYTES 80

struct ask {
	json_t *body;
	const char *tool, *action;
	const json_t *params; /* NULL: none */
	bool dry_run;
};

/* --- what is asked for ---------------------------------------------------- */

/* NULL, or what is wrong with a member that must not be there. */
static const char *unknown_member(const json_t *body)
{
	static const char *const known[] = { "tool", "action", "params",
					     "config", "dry_run" };
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)body, name, v) {
		size_t i = 0;

		while (i < ARRAY_SIZE(known) && strcmp(name, known[i]))
			i++;
		if (i == ARRAY_SIZE(known))
			return name;
	}
	return NULL;
}

/* False: answered. */
static bool ask_check(struct dev_call *call, const struct ask *a)
{
	const json_t *dry_run = json_object_get(a->body, "dry_run");
	const char *unknown = unknown_member(a->body);

	if (unknown)
		dev_problem(call, 400, "invalid_request",
			    "%.80s is not a known member; there are tool, "
			    "action, params and dry_run",
			    unknown);
	else if (dry_run && !json_is_boolean(dry_run))
		dev_problem(call, 400, "invalid_request",
			    "dry_run must be true or false");
	else if (!a->tool || !a->action)
		dev_problem(call, 400, "invalid_request",
			    "tool and action are needed, both strings");
	else if (a->params && !json_is_object(a->params))
		dev_problem(call, 422, "invalid_params",
			    "the parameters do not fit: they have to be an "
			    "object");
	else
		return true;
	return false;
}

static bool ask_allowed(struct dev_call *call, const struct ask *a)
{
	char name[VAR_KEY_MAX_BYTES];

	snprintf(name, sizeof(name), "%s/%s", a->tool, a->action);
	if (token_may_call(&call->b->state->claims, name))
		return true;
	dev_log_say(call->b->state->log, "tool %s -> 403 tool_forbidden", name);
	dev_problem(call, 403, "tool_forbidden",
		    "this job may not call %.160s: it is not in its \"tools\"",
		    name);
	return false;
}

static bool ask_take(struct dev_call *call, struct ask *a, const uint8_t *body,
		     size_t len)
{
	char err[128];

	a->body = json_parse_object(body, len, err, sizeof(err));
	if (!a->body) {
		dev_problem(call, 400, "invalid_json", "%s", err);
		return false;
	}
	a->tool = json_get_str(a->body, "tool", NULL);
	a->action = json_get_str(a->body, "action", NULL);
	a->params = json_object_get(a->body, "params");
	if (!a->params) /* as it was called once */
		a->params = json_object_get(a->body, "config");
	a->dry_run = json_get_bool(a->body, "dry_run", false);
	return ask_check(call, a) && ask_allowed(call, a);
}

/* --- answering ------------------------------------------------------------ */

static const json_t *find_fixture(const struct dev_state *s,
				  const struct ask *a)
{
	const json_t *f, *params;
	size_t i;

	json_array_foreach(s->fixtures->tools, i, f) {
		params = json_object_get(f, "params");
		if (!strcmp(json_get_str(f, "tool", ""), a->tool) &&
		    !strcmp(json_get_str(f, "action", ""), a->action) &&
		    (!params || !json_object_size(params) ||
		     (a->params && dev_json_includes(a->params, params))))
			return f;
	}
	return NULL;
}

static void say(struct dev_call *call, const struct ask *a, const char *outcome)
{
	_cleanup_(buf_deinit) struct buf params = { 0 };

	if (a->params && json_append(&params, a->params) == 0 &&
	    buf_cstr(&params))
		dev_log_say(call->b->state->log, "tool %s/%s%s %s -> %s",
			    a->tool, a->action, a->dry_run ? " (dry run)" : "",
			    (char *)params.data, outcome);
	else
		dev_log_say(call->b->state->log, "tool %s/%s%s -> %s", a->tool,
			    a->action, a->dry_run ? " (dry run)" : "", outcome);
}

static void fail(struct dev_call *call, const struct ask *a,
		 const json_t *error)
{
	int status = (int)json_get_int(error, "status", 424);
	const char *code = json_get_str(error, "code", "tool_failed");
	int64_t upstream = json_get_int(error, "upstream_status", 0);
	char text[160];

	snprintf(text, sizeof(text), "%d %.100s", status, code);
	say(call, a, text);
	dev_problem_with(call, status, code,
			 upstream ? "upstream_status" : NULL, upstream, "%s",
			 json_get_str(error, "detail",
				      "the fixtures say that this fails"));
}

/* What to put into the file, in a line of YAML. */
static void fail_unknown(struct dev_call *call, const struct ask *a)
{
	_cleanup_(buf_deinit) struct buf tool = { 0 }, action = { 0 };

	if (json_append_string(&tool, a->tool,
			       strnlen(a->tool, NAME_SHOWN_BYTES)) < 0 ||
	    json_append_string(&action, a->action,
			       strnlen(a->action, NAME_SHOWN_BYTES)) < 0 ||
	    !buf_cstr(&tool) || !buf_cstr(&action)) {
		dev_no_memory(call);
		return;
	}
	say(call, a, "424 tool_failed: no fixture");
	call->has_key = false; /* as if it had never been asked */
	dev_problem(call, 424, "tool_failed",
		    "no fixture answers this call; add to the list \"tools\" "
		    "of the file of --fixtures: - {tool: %s, action: %s, "
		    "result: {}}",
		    (char *)tool.data, (char *)action.data);
}

static void remember(struct dev_state *s, const struct ask *a)
{
	json_t *call = json_pack("{s:s,s:s}", "tool", a->tool, "action",
				 a->action);

	if (a->params)
		json_object_set(call, "params", (json_t *)(uintptr_t)a->params);
	if (a->dry_run)
		json_object_set_new(call, "dry_run", json_true());
	if (json_array_size(s->calls) < DEV_CALLS_MAX)
		json_array_append_new(s->calls, call);
	else
		json_decref(call);
}

static json_t *dry_run_reply(const struct ask *a)
{
	return json_pack("{s:b,s:{s:s,s:s,s:O?}}", "dry_run", 1, "request",
			 "tool", a->tool, "action", a->action, "params",
			 a->params);
}

static void answer(struct dev_call *call, const struct ask *a)
{
	const json_t *f = find_fixture(call->b->state, a), *error;

	remember(call->b->state, a);
	error = json_object_get(f, "error");
	if (a->dry_run) {
		say(call, a, "ok");
		dev_answer_json(call, 200, dry_run_reply(a));
	} else if (!f) {
		fail_unknown(call, a);
	} else if (error) {
		fail(call, a, error);
	} else {
		say(call, a, "ok");
		dev_answer_json(call, 200,
				json_deep_copy(json_object_get(f, "result")));
	}
}

void dev_post_tool(struct dev_call *call, const uint8_t *body, size_t len)
{
	struct ask a = { 0 };

	if (ask_take(call, &a, body, len) &&
	    (a.dry_run || !dev_repeated(call, DEV_KEYS_TOOLS, "", body, len)))
		answer(call, &a);
	json_decref(a.body);
}
