#include "backend/job_submit.h"

#include <errno.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/job_spec.h"
#include "backend/job_submission.h"
#include "backend/store_job.h"
#include "common/agent_labels.h"
#include "common/json.h"
#include "common/runtime_config.h"

static struct store_blob blob_of(const struct buf *b)
{
	return (struct store_blob){ b->data, b->len };
}

static struct store_retry retry_of(const json_t *runtime)
{
	const json_t *backoff = json_object_get(runtime, "backoff");

	return (struct store_retry){
		.retries = json_get_int(runtime, "retries", 0),
		.initial_ms = json_get_int(backoff, "initial",
					   RUNTIME_BACKOFF_INITIAL_MS),
		.max_ms = json_get_int(backoff, "max", RUNTIME_BACKOFF_MAX_MS),
		.elapsed_ms = json_get_int(backoff, "max_elapsed",
					   RUNTIME_BACKOFF_MAX_ELAPSED_MS),
	};
}

/* What the submission says; what it was made of must outlive it. */
static struct store_job_new job_of(const struct job_submission *s)
{
	const json_t *spec = s->spec;

	return (struct store_job_new){
		.signature = (const char *)s->signature.data,
		.name = json_get_str(spec, "name", ""),
		.runtime = job_spec_runtime(spec),
		.executor = json_get_str(spec, "executor", ""),
		.script = blob_of(&s->script),
		.input = blob_of(&s->input),
		.want_agent = json_get_str(spec, "agent", NULL),
		.input_from = json_get_str(spec, "input_from", NULL),
		.input_stream = strcmp(json_get_str(spec, "input_stream", ""),
				       "none") != 0,
		.host = json_get_str(spec, "host", NULL),
		.session = json_get_str(spec, "session", NULL),
		.no_wait = json_get_bool(spec, "no_wait", false),
		.retry = retry_of(json_object_get(spec, "runtime")),
		.max_queued = BACKEND_QUEUED_MAX,
	};
}

int job_submit(struct backend *b, const struct job_submission *s,
	       const struct job_submit_options *options, struct store_done done)
{
	_cleanup_(buf_deinit) struct buf spec = { 0 }, labels = { 0 };
	char id[ID_MAX_BYTES], on[AGENT_LABELS_MAX_BYTES], why[1];
	struct store_job_new job = job_of(s);

	/* The specification was checked. */
	if (agent_labels_from_json(json_object_get(s->spec, "agent_labels"), on,
				   why, sizeof(why)))
		return -EINVAL;
	if (json_append(&spec, s->spec) ||
	    json_append(&labels, json_object_get(s->spec, "labels")))
		return -ENOMEM;
	id_new("job", id);
	job.id = id;
	job.spec = blob_of(&spec);
	job.labels = blob_of(&labels);
	job.want_labels = on;
	job.idempotency_key = options->idempotency_key;
	job.trace_id = options->trace_id;
	job.parent = options->parent;
	job.max_children = options->max_children;
	job.max_depth = options->max_depth;
	job.max_family = options->max_family;
	job.bound = options->bound;
	job.audit = options->audit;
	job.audit.job = id;
	if (!job.audit.target)
		job.audit.target = id;
	return store_job_submit(b->store, &job, done);
}
