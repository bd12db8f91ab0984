#include "backend/api_submit.h"

#include <stdio.h>

#include "backend/api.h"
#include "backend/job_change.h"
#include "backend/job_place.h"
#include "backend/job_submit.h"
#include "backend/store_no_wait.h"
#include "backend/waits.h"

static void on_refused(struct backend *b, struct api_call *call, int r,
		       const struct store_result *result)
{
	if (r == 0)
		job_changed(b, &result->job);
	if (!call)
		return;
	if (r && r != STORE_E_STATE)
		api_store_problem(call, r, result, "job");
	else
		api_reply_json(call, 201, job_place_json(b, &result->job));
}

/* A job that must not wait is answered as it is after its failure, which
 * job_changed() may have begun already. */
static void reply_submitted(struct api_call *call, const struct store_job *job)
{
	struct waiting why;
	const struct store_job_fail fail = { job->id, why.message };
	struct store_done done;

	if (!waits_refuse(call->b->waits, job, &why))
		api_reply_json(call, 201, job_place_json(call->b, job));
	else if (api_done_always(call, on_refused, &done))
		api_start(call, store_job_fail(call->b->store, &fail, done));
}

static void on_submitted(struct backend *b, struct api_call *call, int r,
			 const struct store_result *result)
{
	if (r == 0 && !result->repeated)
		job_changed(b, &result->job);
	if (!call)
		return;
	if (r == STORE_E_HOST || r == STORE_E_SESSION)
		api_problem(call, 400, "invalid_spec", "%s", result->message);
	else if (r == STORE_E_SESSION_ENDED)
		api_problem(call, 409, "session_ended", "%s", result->message);
	else if (r)
		api_store_problem(call, r, result, "job");
	else
		reply_submitted(call, &result->job);
}

/* Keys of different callers do not clash. */
static bool submit_key(struct api_call *call, char *out, size_t size,
		       const char **key)
{
	if (!api_idempotency_key(call, key))
		return false;
	if (*key) {
		snprintf(out, size, "%s %s", call->caller.who, *key);
		*key = out;
	}
	return true;
}

void api_submit(struct api_call *call, const struct job_submission *s,
		const char *action, const char *target)
{
	char key[API_IDEMPOTENCY_KEY_MAX_BYTES + 80];
	struct job_submit_options options = {
		.trace_id = call->trace_id,
		.audit = api_audit(call, action, target),
	};
	struct store_done done;

	if (submit_key(call, key, sizeof(key), &options.idempotency_key) &&
	    api_done_always(call, on_submitted, &done))
		api_start(call, job_submit(call->b, s, &options, done));
}
