#include "backend/job_json.h"

#include <errno.h>

#include "backend/job_spec.h"
#include "backend/store.h"
#include "backend/waiting.h"
#include "common/json.h"

/* NULL becomes null. */
static json_t *string_or_null(const char *s)
{
	return s ? json_string(s) : json_null();
}

static json_t *labels_json(const struct store_job *job)
{
	json_t *labels = NULL;

	if (job->labels.data)
		labels = json_loadb(job->labels.data, job->labels.len, 0, NULL);
	return labels ? labels : json_object();
}

/* {"id","name"}, or null. */
static json_t *session_json(const struct store_job *job)
{
	return job->session ? json_pack("{s:s,s:s}", "id", job->session, "name",
					job->session_name)
			    : json_null();
}

static int set_queue(json_t *o, const struct store_job *job,
		     const struct waiting *waiting)
{
	return json_object_set_new(o, "session", session_json(job)) ||
	       json_object_set_new(o, "no_wait", json_boolean(job->no_wait)) ||
	       json_object_set_new(o, "waiting",
				   waiting ? waiting_json(waiting)
					   : json_null());
}

static int set_state(json_t *o, const struct store_job *job)
{
	return json_object_set_new(o, "state",
				   json_string(job_state_name(job->state))) ||
	       json_object_set_new(o, "reason", string_or_null(job->reason)) ||
	       json_object_set_new(o, "cancel_requested",
				   json_boolean(job->cancel_requested)) ||
	       json_object_set_new(o, "attempt", json_integer(job->attempt)) ||
	       json_object_set_new(o, "attempts",
				   json_integer(1 + job->retry.retries)) ||
	       json_object_set_new(o, "next_try_ms",
				   job->not_before_ms
					   ? json_integer(job->not_before_ms)
					   : json_null()) ||
	       json_object_set_new(o, "host", string_or_null(job->host)) ||
	       json_object_set_new(o, "execution",
				   string_or_null(job->execution)) ||
	       json_object_set_new(o, "agent", string_or_null(job->agent)) ||
	       json_object_set_new(o, "want_agent",
				   string_or_null(job->want_agent)) ||
	       json_object_set_new(o, "parent", string_or_null(job->parent)) ||
	       json_object_set_new(o, "input_from",
				   string_or_null(job->input_from)) ||
	       json_object_set_new(o, "trace_id",
				   string_or_null(job->trace_id));
}

static json_t *known_or_null(int64_t n)
{
	return n == STORE_USAGE_UNKNOWN ? json_null() : json_integer(n);
}

static json_t *usage_json(const struct store_usage *u)
{
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}", "user_us",
			 known_or_null(u->user_us), "system_us",
			 known_or_null(u->system_us), "max_rss_kb",
			 known_or_null(u->max_rss_kb), "peak_memory_bytes",
			 known_or_null(u->peak_memory_bytes), "read_bytes",
			 known_or_null(u->read_bytes), "write_bytes",
			 known_or_null(u->write_bytes));
}

static int set_result(json_t *o, const struct store_job *job)
{
	return json_object_set_new(o, "exit_code",
				   job->has_exit_code
					   ? json_integer(job->exit_code)
					   : json_null()) ||
	       json_object_set_new(o, "signal",
				   job->signal ? json_integer(job->signal)
					       : json_null()) ||
	       json_object_set_new(o, "oom_killed",
				   json_boolean(job->oom_killed)) ||
	       json_object_set_new(o, "usage", usage_json(&job->usage)) ||
	       json_object_set_new(o, "output_bytes",
				   job->output_bytes < 0
					   ? json_null()
					   : json_integer(job->output_bytes)) ||
	       json_object_set_new(o, "log_bytes",
				   json_integer(job->log_bytes)) ||
	       json_object_set_new(o, "log_dropped_bytes",
				   json_integer(job->log_dropped_bytes)) ||
	       json_object_set_new(o, "labels", labels_json(job));
}

/* Where it was read, which only one call does. */
static int set_telemetry(json_t *o, const struct store_job *job)
{
	const struct store_blob *t = &job->telemetry;
	json_t *telemetry = NULL;

	if (t->data)
		telemetry = json_loadb(t->data, t->len, 0, NULL);
	return telemetry && json_object_set_new(o, "telemetry", telemetry);
}

/* Where the specification was read, which lists do not. */
static int set_capability(json_t *o, const struct store_job *job)
{
	_cleanup_json_ json_t *spec = NULL;

	if (!job->spec.data)
		return 0;
	spec = json_loadb(job->spec.data, job->spec.len, 0, NULL);
	return json_object_set_new(
		o, JOB_SPEC_CAPABILITY,
		string_or_null(json_get_str(spec, JOB_SPEC_CAPABILITY, NULL)));
}

json_t *job_json(const struct store_job *job, const struct waiting *waiting)
{
	json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:I}", "id", job->id,
			      "name", job->name, "runtime", job->runtime,
			      "executor", job->executor, "created_ms",
			      (json_int_t)job->created_ms, "started_ms",
			      (json_int_t)job->started_ms, "ended_ms",
			      (json_int_t)job->ended_ms);

	if (o && (set_state(o, job) || set_queue(o, job, waiting) ||
		  set_result(o, job) || set_capability(o, job) ||
		  set_telemetry(o, job))) {
		json_decref(o);
		return NULL;
	}
	return o;
}

int job_json_append(struct buf *out, const struct store_job *job,
		    const struct waiting *waiting)
{
	_cleanup_json_ json_t *o = job_json(job, waiting);

	return o ? json_append(out, o) : -ENOMEM;
}

int64_t job_deadline_ms(const struct store_job *job, const json_t *spec)
{
	int64_t timeout_ms = json_get_int(spec, "timeout_ms", 0);

	return timeout_ms ? job->claimed_ms + timeout_ms : 0;
}

json_t *job_context_json(const struct store_job *job, bool read_only)
{
	_cleanup_json_ json_t *spec = json_loadb(job->spec.data, job->spec.len,
						 0, NULL);
	int64_t deadline_ms = job_deadline_ms(job, spec);

	return json_pack(
		"{s:s,s:s,s:s,s:n,s:I,s:s,s:s,s:o,s:o,s:o,s:b,s:b,s:o,s:o}",
		"job", job->id, "execution", job->execution, "name", job->name,
		"event", "attempt", (json_int_t)job->attempt, "trigger", "api",
		"executor", job->executor, "deadline_ms",
		deadline_ms ? json_integer(deadline_ms) : json_null(), "labels",
		labels_json(job), "session", session_json(job), "dry_run",
		json_get_bool(spec, "dry_run", false), "read_only", read_only,
		"parent", string_or_null(job->parent), "trace_id",
		string_or_null(job->trace_id));
}
