/* Capabilities: what there is, jobs of them, and the undoing of such a job. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/api.h"
#include "backend/api_handlers.h"
#include "backend/api_submit.h"
#include "backend/capabilities.h"
#include "backend/capability_job.h"
#include "backend/capability_undo.h"
#include "backend/intake.h"
#include "backend/job_submission.h"
#include "backend/store_job.h"
#include "backend/tool_answer.h"
#include "backend/tool_violations.h"
#include "common/id.h"
#include "common/json.h"

/* Arguments are the job's input, and may take as much. */
static uint64_t args_max_bytes(const struct api_call *call)
{
	return call->b->config->max_input_bytes + API_BODY_SMALL_BYTES;
}

/* --- what there is ------------------------------------------------------- */

API_HANDLER(api_capability_list)
{
	struct api_call *call = ctx;
	const struct capability *c;
	json_t *list = json_array();

	for (size_t i = 0; (c = capabilities_at(call->b->capabilities, i)); i++)
		json_array_append_new(list, capability_describe(c, false));
	api_reply_json(call, 200, json_pack("{s:o}", "capabilities", list));
}

/* NULL: answered. */
static const struct capability *find(struct api_call *call, const char *name)
{
	const struct capability *c = capabilities_find(call->b->capabilities,
						       name);

	if (!c)
		api_problem(call, 404, "capability_not_found",
			    "there is no capability %.80s; see: cronium exec "
			    "--list",
			    name);
	return c;
}

API_HANDLER(api_capability_get)
{
	const struct capability *c = find(ctx, api_param(ctx, "name"));

	if (c)
		api_reply_json(ctx, 200, capability_describe(c, true));
}

/* --- submitting ---------------------------------------------------------- */

/* A call's state. */
struct exec {
	struct intake_job *job; /* NULL once it is read */
	const struct capability *capability;
	const char *action; /* of the audit entry, and what it is about */
	char target[CAPABILITY_NAME_MAX_BYTES + ID_MAX_BYTES];
	json_t *undo; /* what its body says; NULL where it is no undo */
};

static void on_exec_end(struct api_call *call)
{
	struct exec *e = call->state;

	intake_cancel(e->job);
	json_decref(e->undo);
	free(e);
}

/* NULL: answered. */
static struct exec *exec_new(struct api_call *call, const char *action)
{
	struct exec *e = calloc(1, sizeof(*e));

	if (!e) {
		api_start(call, -ENOMEM);
		return NULL;
	}
	e->action = action;
	call->state = e;
	call->on_end = on_exec_end;
	return e;
}

static void on_submission(void *ctx, int r, const struct job_submission *s,
			  const char *why)
{
	struct api_call *call = ctx;
	const struct exec *e = call->state;

	if (r > 0) {
		api_problem(call, r == JOB_SUBMISSION_E_TOO_LARGE ? 413 : 400,
			    job_submission_code(r), "%s", why);
		return;
	}
	if (!r)
		r = capability_job_mark(e->capability, s->spec);
	if (r)
		api_start(call, r);
	else
		api_submit(call, s, e->action, e->target);
}

static void exec_submit(struct api_call *call, struct buf *body)
{
	const struct job_submission_limits limits = {
		.script_bytes = BACKEND_SCRIPT_MAX_BYTES,
		.input_bytes = call->b->config->max_input_bytes,
	};
	struct exec *e = call->state;
	int r = intake_start(call->b->intake, body, false, &limits,
			     on_submission, call, &e->job);

	if (r)
		api_start(call, r);
}

static void exec_refuse(struct api_call *call, int r, const struct exec *e,
			const struct tool_violations *v, struct buf *why)
{
	if (r == CAPABILITY_JOB_E_ARGS)
		tool_answer_invalid(call, "invalid_args", e->capability->name,
				    v);
	else if (r == CAPABILITY_JOB_E_SPEC && buf_cstr(why))
		api_problem(call, 400, "invalid_spec", "%s", buf_cstr(why));
	else
		api_start(call, -ENOMEM);
}

/* ask: as capability_job.h has it; the call's state knows the capability. */
static void exec_start(struct api_call *call, const json_t *ask)
{
	const struct exec *e = call->state;
	_cleanup_(buf_deinit) struct buf why = { 0 };
	struct tool_violations v = { 0 };
	struct buf body = { 0 };
	int r = capability_job_body(e->capability, ask, &v, &why, &body);

	if (!r) {
		exec_submit(call, &body);
	} else {
		buf_deinit(&body);
		exec_refuse(call, r, e, &v, &why);
	}
	tool_violations_deinit(&v);
}

static void on_exec_body(struct http_exchange *ex, const uint8_t *body,
			 size_t len, void *data)
{
	struct api_call *call = data;
	_cleanup_json_ json_t *ask = api_body_object(call, body, len);
	const struct capability *c;
	struct exec *e;

	c = ask ? find(call, api_param(call, "name")) : NULL;
	e = c ? exec_new(call, "capability.exec") : NULL;
	if (!e)
		return;
	e->capability = c;
	snprintf(e->target, sizeof(e->target), "%s", c->name);
	exec_start(call, ask);
}

API_HANDLER(api_capability_exec)
{
	http_exchange_collect(ex, args_max_bytes(ctx), on_exec_body);
}

/* --- undo ---------------------------------------------------------------- */

/* How the job is to be done; what and where follows from the one before. */
static int undo_take_wishes(const json_t *body, json_t *ask)
{
	static const char *const names[] = { "dry_run", "no_wait", "timeout_ms",
					     "session", "labels" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		json_t *wish = json_object_get(body, names[i]);

		if (wish && json_object_set(ask, names[i], wish))
			return -ENOMEM;
	}
	return 0;
}

/* output: NULL where there is none. */
static void undo(struct api_call *call, const struct store_job *job,
		 const json_t *output)
{
	_cleanup_json_ json_t *spec = NULL, *ask = NULL;
	struct exec *e = call->state;
	const char *name = capability_undo_name(job, &spec);
	char err[256];
	int r;

	e->capability = name ? capabilities_find(call->b->capabilities, name)
			     : NULL;
	snprintf(e->target, sizeof(e->target), "%s", job->id);
	r = capability_undo_ask(e->capability, job, spec, output,
				json_get_bool(e->undo, "force", false), &ask,
				err, sizeof(err));
	if (!r)
		r = undo_take_wishes(e->undo, ask);
	if (r > 0)
		api_problem(call, 409, "not_undoable", "%s", err);
	else if (r)
		api_start(call, r);
	else
		exec_start(call, ask);
}

static void on_output(int r, const struct store_result *result, void *ctx)
{
	struct api_call *call = ctx;
	_cleanup_json_ json_t *output = NULL;

	if (r == STORE_E_NOT_FOUND && result->job.id) {
		undo(call, &result->job, NULL);
	} else if (r) {
		api_store_problem(call, r, result, api_param(call, "id"));
	} else {
		output = json_loadb(result->blob.data, result->blob.len,
				    JSON_DECODE_ANY, NULL);
		undo(call, &result->job, output);
	}
}

static void on_undo_body(struct http_exchange *ex, const uint8_t *body,
			 size_t len, void *data)
{
	struct api_call *call = data;
	_cleanup_json_ json_t *o = api_body_object(call, body, len);
	struct exec *e = o ? exec_new(call, "capability.undo") : NULL;

	if (!e)
		return;
	e->undo = json_incref(o);
	api_start(call,
		  store_job_read(call->b->store, api_param(call, "id"),
				 STORE_OUTPUT, api_done(call, on_output)));
}

API_HANDLER(api_job_undo)
{
	http_exchange_collect(ex, API_BODY_SMALL_BYTES, on_undo_body);
}
