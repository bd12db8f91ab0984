#include "backend/tool_native_impl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/api.h"
#include "backend/auth.h"
#include "backend/follow.h"
#include "backend/intake.h"
#include "backend/job_change.h"
#include "backend/job_submission.h"
#include "backend/job_submit.h"
#include "backend/live.h"
#include "backend/orphans.h"
#include "backend/store_job.h"
#include "backend/store_runtime.h"
#include "backend/tool_answer.h"
#include "backend/tool_schema.h"
#include "backend/tool_violations.h"
#include "common/json.h"

#define NATIVE_KEY_BYTES (API_IDEMPOTENCY_KEY_MAX_BYTES + 96)

struct native_call {
	struct api_call *api;
	const struct tool_native_action *action;
	json_t *params;
	struct buf input; /* as it was written; len 0: none */
	char key[NATIVE_KEY_BYTES], target[64];
	bool has_key, wait, dry_run;
	struct intake_job *submission; /* that is being read */
	struct follower follower;
	char job[ID_MAX_BYTES];
};

static void on_api_end(struct api_call *api)
{
	struct native_call *n = api->state;

	if (!n)
		return;
	intake_cancel(n->submission);
	follow_remove(api->b->follow, &n->follower);
	json_decref(n->params);
	buf_deinit_secret(&n->input);
	free(n);
}

static const struct token_claims *claims_of(const struct native_call *n)
{
	const struct live_token *t = n->api->caller.token;

	return t ? &t->claims : NULL;
}

static void native_refuse_text(struct native_call *n, const char *text)
{
	struct tool_violations v = { 0 };

	tool_violations_add(&v, "", "%s", text);
	if (v.list)
		tool_answer_violations(n->api, n->target, &v);
	else
		api_start(n->api, -ENOMEM);
	tool_violations_deinit(&v);
}

/* --------------------------------------------------------------- the result */

/* The output is what the child has set, byte for byte. */
static void native_reply(struct native_call *n, const struct store_job *job,
			 const struct store_blob *output)
{
	static const struct http_header headers[] = {
		{ "content-type", "application/json" },
		{ "cache-control", "no-store" },
	};
	_cleanup_(buf_deinit) struct buf body = { 0 };
	char exit_code[16] = "null";
	int r;

	if (job->has_exit_code)
		snprintf(exit_code, sizeof(exit_code), "%d", job->exit_code);
	r = buf_printf(&body, "{\"job\":\"%s\",\"state\":\"%s\"", job->id,
		       job_state_name(job->state));
	if (!r && n->wait)
		r = buf_printf(&body,
			       ",\"exit_code\":%s,\"output\":", exit_code);
	if (!r && n->wait && output)
		r = buf_append(&body, output->data, output->len);
	else if (!r && n->wait)
		r = buf_append_str(&body, "null");
	if (!r)
		r = buf_append_str(&body, "}");
	if (r)
		api_start(n->api, r);
	else
		api_reply(n->api, 200, headers, ARRAY_SIZE(headers), body.data,
			  body.len);
}

static void on_output(int r, const struct store_result *result, void *ctx)
{
	struct api_call *api = ctx;

	if (r == 0)
		native_reply(api->state, &result->job, &result->blob);
	else if (r == STORE_E_NOT_FOUND && result->job.id)
		native_reply(api->state, &result->job, NULL);
	else
		api_store_problem(api, r, result, "job");
}

static void native_read(struct native_call *n)
{
	api_start(n->api, store_job_read(n->api->b->store, n->job, STORE_OUTPUT,
					 api_done(n->api, on_output)));
}

static void on_followed(struct follower *f, const struct follow_event *ev)
{
	struct native_call *n = CONTAINER_OF(f, struct native_call, follower);

	if (!ev->stop && !ev->ended)
		return;
	follow_remove(n->api->b->follow, f);
	if (ev->ended)
		native_read(n);
	else
		api_problem(n->api, 503, "backend_stopping",
			    "%s is under way, and the backend is being "
			    "stopped; ask again with the same "
			    "Idempotency-Key",
			    n->job);
}

static void native_submitted(struct native_call *n,
			     const struct store_result *result)
{
	snprintf(n->job, sizeof(n->job), "%s", result->job.id);
	if (!n->wait)
		native_reply(n, &result->job, NULL);
	else if (job_state_ended(result->job.state))
		native_read(n);
	else if (follow_add(n->api->b->follow, n->job, &n->follower))
		api_start(n->api, -ENOMEM);
}

static void on_submitted(struct backend *b, struct api_call *api, int r,
			 const struct store_result *result)
{
	if (r == 0 && !result->repeated)
		job_changed(b, &result->job);
	if (r == 0 && result->job.parent)
		orphans_note(b, result->job.parent);
	if (!api)
		return;
	if (r == 0)
		native_submitted(api->state, result);
	else if (r == STORE_E_FAMILY)
		api_problem(api, 409, "too_many_jobs", "%s", result->message);
	else if (r == STORE_E_HOST) /* its parent's, removed since */
		native_refuse_text(api->state, result->message);
	else
		api_store_problem(api, r, result, "job");
}

/* ----------------------------------------------------------- the submission */

/* False: answered. */
static bool native_narrow(struct native_call *n, const json_t *parent,
			  json_t *members)
{
	struct tool_violations v = { 0 };
	int r = tool_native_inherit(members, parent, claims_of(n), n->wait, &v);

	if (r || v.error)
		api_start(n->api, -ENOMEM);
	else if (v.found)
		tool_answer_violations(n->api, n->target, &v);
	else {
		tool_violations_deinit(&v);
		return true;
	}
	tool_violations_deinit(&v);
	return false;
}

/* Whether the job's runtime lets it start others. False: answered. */
static bool native_allowed(struct native_call *n, const json_t *parent)
{
	const json_t *allowed = json_object_get(
		json_object_get(parent, "runtime"), "native_tools");

	if (json_get_bool(allowed, n->action->permission, true))
		return true;
	auth_audit_refusal(n->api->b->auth, n->api, "tool.call", n->target,
			   "tool_forbidden");
	api_problem(n->api, 403, "tool_forbidden",
		    "this job may not call %s: its runtime says "
		    "\"native_tools\":{\"%s\":false}",
		    n->target, n->action->permission);
	return false;
}

/* The body of the POST /v1/jobs that this amounts to. */
static int native_body(const struct native_call *n, const json_t *members,
		       struct buf *out)
{
	_cleanup_(buf_deinit) struct buf rest = { 0 };
	int r = json_append(&rest, members);

	if (!r && n->input.len) {
		r = buf_append_str(out, "{\"input\":");
		if (!r)
			r = buf_append(out, n->input.data, n->input.len);
		if (!r)
			r = buf_append_str(out, ",");
		if (!r)
			buf_consume(&rest, 1);
	}
	return r ? r : buf_append(out, rest.data, rest.len);
}

static void native_submit(struct native_call *n, const struct job_submission *s)
{
	const struct token_claims *c = claims_of(n);
	struct api_call *api = n->api;
	const struct job_submit_options options = {
		.idempotency_key = n->has_key ? n->key : NULL,
		.trace_id = api->trace_id,
		.parent = c ? c->subject : NULL,
		.max_children = TOOL_NATIVE_CHILDREN_MAX,
		.max_depth = TOOL_NATIVE_DEPTH_MAX,
		.max_family = TOOL_NATIVE_FAMILY_MAX,
		.bound = c && n->wait,
		.audit = api_audit(api, "tool.call", n->target),
	};
	struct store_done done;

	if (n->dry_run)
		api_reply_json(api, 200,
			       json_pack("{s:b,s:O}", "dry_run", 1, "job",
					 s->spec));
	else if (api_done_always(api, on_submitted, &done))
		api_start(api, job_submit(api->b, s, &options, done));
}

static void on_submission(void *ctx, int r, const struct job_submission *s,
			  const char *why)
{
	struct native_call *n = ctx;

	if (!r)
		native_submit(n, s);
	else if (r < 0)
		api_start(n->api, r);
	else if (r == JOB_SUBMISSION_E_TOO_LARGE)
		api_problem(n->api, 413, "too_large", "%s", why);
	else
		native_refuse_text(n, why);
}

static void native_parse(struct native_call *n, const json_t *members)
{
	const struct job_submission_limits limits = {
		.script_bytes = BACKEND_SCRIPT_MAX_BYTES,
		.input_bytes = n->api->b->config->max_input_bytes,
	};
	struct buf body = { 0 };
	int r = native_body(n, members, &body);

	/* A child may be waited for long. */
	json_decref(n->params);
	n->params = NULL;
	buf_deinit_secret(&n->input);
	if (!r)
		r = intake_start(n->api->b->intake, &body, false, &limits,
				 on_submission, n, &n->submission);
	else
		buf_deinit_secret(&body);
	if (r)
		api_start(n->api, r);
}

/* parent: the specification of the caller's job, or NULL. */
static void native_prepare(struct native_call *n, const json_t *parent)
{
	_cleanup_json_ json_t *members = json_copy(n->params);

	if (!members) {
		api_start(n->api, -ENOMEM);
		return;
	}
	if (!native_allowed(n, parent))
		return;
	json_object_del(members, "wait");
	if (json_get_bool(parent, "dry_run", false) &&
	    json_object_set_new(members, "dry_run", json_true())) {
		api_start(n->api, -ENOMEM);
		return;
	}
	if (!parent || native_narrow(n, parent, members))
		native_parse(n, members);
}

static void on_parent(int r, const struct store_result *result, void *ctx)
{
	struct api_call *api = ctx;
	_cleanup_json_ json_t *spec = NULL;

	if (r) {
		api_store_problem(api, r, result, "execution");
		return;
	}
	spec = json_loadb(result->job.spec.data, result->job.spec.len, 0, NULL);
	if (spec)
		native_prepare(api->state, spec);
	else
		api_start(api, -ENOMEM);
}

/* Keys of different callers, and of POST /v1/jobs, do not clash. */
static void native_set_key(struct native_call *n, const char *key)
{
	n->has_key = key;
	if (key)
		snprintf(n->key, sizeof(n->key), "tool %s %s",
			 n->api->caller.who, key);
}

static int native_fill(struct native_call *n,
		       const struct tool_native_request *request)
{
	n->action = request->action;
	n->dry_run = request->dry_run;
	n->wait = json_get_bool(request->params, "wait", false);
	n->follower.on_event = on_followed;
	snprintf(n->target, sizeof(n->target), TOOL_NATIVE_NAME "/%s",
		 request->action->name);
	native_set_key(n, request->idempotency_key);
	/* The input goes on as it was written. */
	n->params = json_copy((json_t *)request->params);
	if (!n->params)
		return -ENOMEM;
	json_object_del(n->params, "input");
	return request->input ? buf_append(&n->input, request->input,
					   request->input_len)
			      : 0;
}

void tool_native_call(struct api_call *api,
		      const struct tool_native_request *request)
{
	struct native_call *n = calloc(1, sizeof(*n));
	struct tool_violations v = { 0 };
	int r;

	if (!n) {
		api_start(api, -ENOMEM);
		return;
	}
	n->api = api;
	api->state = n;
	api->on_end = on_api_end;
	r = native_fill(n, request);
	if (!r)
		r = tool_schema_check(n->action->params, n->params, &v, NULL);
	if (r == TOOL_E_INVALID)
		tool_answer_violations(n->api, n->target, &v);
	else if (r)
		api_start(api, -ENOMEM);
	else if (!api->caller.token)
		native_prepare(n, NULL);
	else
		api_start(api, store_execution_get(api->b->store,
						   claims_of(n)->subject,
						   api_done(api, on_parent)));
	tool_violations_deinit(&v);
}
