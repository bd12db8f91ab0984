/* Jobs, for people and the CLI. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/api.h"
#include "backend/api_handlers.h"
#include "backend/api_submit.h"
#include "backend/intake.h"
#include "backend/job_change.h"
#include "backend/job_json.h"
#include "backend/job_place.h"
#include "backend/job_submission.h"
#include "backend/session_state.h"
#include "backend/store_job.h"
#include "common/frame.h"
#include "common/id.h"
#include "common/json.h"

/* --- POST /v1/jobs ------------------------------------------------------- */

static bool is_frames(const struct api_call *call)
{
	const char *type = http_request_header(call->req, "content-type");

	return type && !strcmp(type, FRAME_CONTENT_TYPE);
}

/* A call's state: what reads its body. */
struct submit_state {
	struct intake_job *job; /* NULL once it is read */
};

static void on_submission(void *ctx, int r, const struct job_submission *s,
			  const char *why)
{
	struct api_call *call = ctx;

	if (r == 0)
		api_submit(call, s, "job.submit", NULL);
	else if (r < 0)
		api_start(call, r);
	else
		api_problem(call, r == JOB_SUBMISSION_E_TOO_LARGE ? 413 : 400,
			    job_submission_code(r), "%s", why);
}

static void on_submit_end(struct api_call *call)
{
	struct submit_state *state = call->state;

	intake_cancel(state->job);
	free(state);
}

static void on_submit_body(struct http_exchange *ex, const uint8_t *body,
			   size_t len, void *data)
{
	struct api_call *call = data;
	const struct job_submission_limits limits = {
		.script_bytes = BACKEND_SCRIPT_MAX_BYTES,
		.input_bytes = call->b->config->max_input_bytes,
	};
	struct submit_state *state = calloc(1, sizeof(*state));
	struct buf copy = { 0 };
	int r = state ? buf_append(&copy, body, len) : -ENOMEM;

	if (state) {
		call->state = state;
		call->on_end = on_submit_end;
	}
	if (!r)
		r = intake_start(call->b->intake, &copy, is_frames(call),
				 &limits, on_submission, call, &state->job);
	if (r)
		api_start(call, r);
}

/* In JSON a script's newlines and quotes take two bytes. */
static uint64_t submit_max_bytes(const struct api_call *call)
{
	return call->b->config->max_input_bytes +
	       2 * (uint64_t)BACKEND_SCRIPT_MAX_BYTES +
	       JOB_SUBMISSION_SPEC_MAX_BYTES;
}

API_HANDLER(api_job_submit)
{
	http_exchange_collect(ex, submit_max_bytes(ctx), on_submit_body);
}

/* --- reading ------------------------------------------------------------- */

static json_t *jobs_json(const struct backend *b,
			 const struct store_result *result)
{
	json_t *jobs = json_array();
	struct job_place place;
	struct waiting waiting;

	if (!jobs || job_place_init(&place, b)) {
		json_decref(jobs);
		return NULL;
	}
	for (size_t i = 0; i < result->jobs.n; i++) {
		const struct store_job *job = &result->jobs.items[i];

		job_place_explain(&place, job, &waiting);
		json_array_append_new(jobs, job_json(job, &waiting));
	}
	job_place_deinit(&place);
	return jobs;
}

static void on_list(int r, const struct store_result *result, void *ctx)
{
	struct api_call *call = ctx;
	const char *next = NULL;

	if (r) {
		api_store_problem(call, r, result, "job to go on before");
		return;
	}
	if (result->jobs.more && result->jobs.n)
		next = result->jobs.items[result->jobs.n - 1].id;
	api_reply_json(call, 200,
		       json_pack("{s:o,s:s?}", "jobs",
				 jobs_json(call->b, result), "next", next));
}

API_HANDLER(api_job_list)
{
	struct api_call *call = ctx;
	char state[16], before[ID_MAX_BYTES];
	char session[SESSION_NAME_MAX_BYTES + 1];
	struct store_job_query query = { .state = -1 };
	enum job_state parsed;
	int64_t limit;

	if (!api_query_int(call, "limit", 1, STORE_LIST_MAX, API_LIST_DEFAULT,
			   &limit) ||
	    !api_query_str(call, "state", state, sizeof(state)) ||
	    !api_query_str(call, "session", session, sizeof(session)) ||
	    !api_query_str(call, "before", before, sizeof(before)))
		return;
	if (*state && job_state_parse(state, &parsed)) {
		api_problem(call, 400, "invalid_query",
			    "there is no state \"%s\"", state);
		return;
	}
	if (*state)
		query.state = (int)parsed;
	query.session = *session ? session : NULL;
	query.before = *before ? before : NULL;
	query.limit = (size_t)limit;
	api_start(call, store_job_list(call->b->store, &query,
				       api_done(call, on_list)));
}

static void on_job(int r, const struct store_result *result, void *ctx)
{
	struct api_call *call = ctx;

	if (r)
		api_store_problem(call, r, result, api_param(call, "id"));
	else
		api_reply_json(call, 200,
			       job_place_json(call->b, &result->job));
}

API_HANDLER(api_job_get)
{
	struct api_call *call = ctx;

	api_start(call, store_job_get(call->b->store, api_param(call, "id"),
				      api_done(call, on_job)));
}

static void on_payload(int r, const struct store_result *result, void *ctx)
{
	static const struct http_header headers[] = {
		{ "content-type", "application/json" },
		{ "cache-control", "no-store" },
	};
	struct api_call *call = ctx;

	if (r == STORE_E_NOT_FOUND && result->job.id)
		api_problem(call, 404, "no_output",
			    "the job has no output (state %s)",
			    job_state_name(result->job.state));
	else if (r)
		api_store_problem(call, r, result, api_param(call, "id"));
	else
		api_reply(call, 200, headers, ARRAY_SIZE(headers),
			  result->blob.data, result->blob.len);
}

API_HANDLER(api_job_input)
{
	struct api_call *call = ctx;

	api_start(call,
		  store_job_read(call->b->store, api_param(call, "id"),
				 STORE_INPUT, api_done(call, on_payload)));
}

API_HANDLER(api_job_output)
{
	struct api_call *call = ctx;

	api_start(call,
		  store_job_read(call->b->store, api_param(call, "id"),
				 STORE_OUTPUT, api_done(call, on_payload)));
}

/* --- POST /v1/jobs/{id}/cancel ------------------------------------------- */

static void on_cancelled(struct backend *b, struct api_call *call, int r,
			 const struct store_result *result)
{
	if (r == 0)
		job_changed(b, &result->job);
	if (!call)
		return;
	if (r == STORE_E_ENDED)
		api_problem(call, 409, "job_ended", "the job has ended: %s",
			    job_state_name(result->job.state));
	else if (r)
		api_store_problem(call, r, result, api_param(call, "id"));
	else
		api_reply_json(call, 202, job_json(&result->job, NULL));
}

static void cancel(struct api_call *call, const char *reason)
{
	struct store_job_cancel request = {
		.job = api_param(call, "id"),
		.reason = reason,
	};
	struct store_done done;

	if (!api_done_always(call, on_cancelled, &done))
		return;
	request.audit = api_audit(call, "job.cancel", request.job);
	request.audit.job = request.job;
	api_start(call, store_job_cancel(call->b->store, &request, done));
}

static void on_cancel_body(struct http_exchange *ex, const uint8_t *body,
			   size_t len, void *data)
{
	_cleanup_json_ json_t *o = api_body_object(data, body, len);

	if (o)
		cancel(data, json_get_str(o, "reason", NULL));
}

API_HANDLER(api_job_cancel)
{
	http_exchange_collect(ex, API_BODY_SMALL_BYTES, on_cancel_body);
}
