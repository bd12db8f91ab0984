/* The operations of store.h as calls; see store_call.c for their life. */
#include "backend/store.h"

#include "backend/store_admin.h"
#include "backend/store_call.h"
#include "backend/store_tool.h"
#include "common/clock.h"

const char *store_outcome_name(int e)
{
	static const char *const names[] = {
		[0] = "ok",
		[STORE_E_NOT_FOUND] = "not_found",
		[STORE_E_EXISTS] = "exists",
		[STORE_E_CONFLICT] = "conflict",
		[STORE_E_STALE_EPOCH] = "stale_epoch",
		[STORE_E_ENDED] = "ended",
		[STORE_E_LIMIT] = "limit",
		[STORE_E_LOG_GAP] = "log_gap",
		[STORE_E_TYPE] = "not_a_number",
		[STORE_E_RANGE] = "range",
		[STORE_E_KEY_REUSED] = "key_reused",
		[STORE_E_STATE] = "state",
		[STORE_E_STREAM_GAP] = "stream_gap",
		[STORE_E_STREAM_ENDED] = "stream_ended",
		[STORE_E_FAMILY] = "too_many_jobs",
		[STORE_E_HOST] = "no_host",
		[STORE_E_SESSION] = "no_session",
		[STORE_E_SESSION_ENDED] = "session_ended",
	};

	if (e < 0 || (size_t)e >= ARRAY_SIZE(names))
		return "error";
	return names[e];
}

void store_get_stats(const struct store *s, struct store_stats *out)
{
	*out = (struct store_stats){
		.calls_total = s->calls_total,
		.commits_total = atomic_load(&s->commits_total),
		.queued_calls = s->n_calls,
		.queued_bytes = s->bytes,
		.failed = atomic_load(&s->failed),
	};
}

int64_t store_now_ms(const struct store *s)
{
	return clock_steady_ms() + atomic_load(&s->clock_offset_ms);
}

bool store_is_shared(const struct store *s)
{
	return s->url->kind == STORE_POSTGRES;
}

void store_close(struct store *s)
{
	if (s)
		s->ops->close(s);
}

/* ------------------------------------------------------------------- jobs */

int store_job_submit(struct store *s, const struct store_job_new *job,
		     struct store_done done)
{
	return store_call_start(s, STORE_OP_JOB_SUBMIT, job, done);
}

int store_job_get(struct store *s, const char *job, struct store_done done)
{
	struct store_request_id request = { job };

	return store_call_start(s, STORE_OP_JOB_GET, &request, done);
}

int store_job_list(struct store *s, const struct store_job_query *query,
		   struct store_done done)
{
	return store_call_start(s, STORE_OP_JOB_LIST, query, done);
}

int store_job_count(struct store *s, struct store_done done)
{
	return store_call_start(s, STORE_OP_JOB_COUNT, NULL, done);
}

int store_job_read(struct store *s, const char *job, enum store_payload kind,
		   struct store_done done)
{
	struct store_request_payload request = { job, kind };

	return store_call_start(s, STORE_OP_JOB_READ, &request, done);
}

int store_job_cancel(struct store *s, const struct store_job_cancel *cancel,
		     struct store_done done)
{
	return store_call_start(s, STORE_OP_JOB_CANCEL, cancel, done);
}

int store_job_cancel_orphans(struct store *s, struct store_done done)
{
	return store_call_start(s, STORE_OP_JOB_CANCEL_ORPHANS, NULL, done);
}

/* ------------------------------------------------------------------ queue */

int store_queue_claim(struct store *s, const struct store_claim *claim,
		      struct store_done done)
{
	return store_call_start(s, STORE_OP_QUEUE_CLAIM, claim, done);
}

int store_queue_give_back(struct store *s, const struct store_give_back *give,
			  struct store_done done)
{
	return store_call_start(s, STORE_OP_QUEUE_GIVE_BACK, give, done);
}

int store_queue_started(struct store *s, const struct store_started *started,
			struct store_done done)
{
	return store_call_start(s, STORE_OP_QUEUE_STARTED, started, done);
}

int store_queue_heartbeat(struct store *s,
			  const struct store_heartbeat *heartbeat,
			  struct store_done done)
{
	return store_call_start(s, STORE_OP_QUEUE_HEARTBEAT, heartbeat, done);
}

int store_queue_complete(struct store *s, const struct store_complete *complete,
			 struct store_done done)
{
	return store_call_start(s, STORE_OP_QUEUE_COMPLETE, complete, done);
}

int store_queue_expire(struct store *s, int64_t now_ms, struct store_done done)
{
	struct store_request_ms request = { now_ms };

	return store_call_start(s, STORE_OP_QUEUE_EXPIRE, &request, done);
}

int store_queue_due(struct store *s, int64_t now_ms, struct store_done done)
{
	struct store_request_ms request = { now_ms };

	return store_call_start(s, STORE_OP_QUEUE_DUE, &request, done);
}

int store_queue_grace(struct store *s, int64_t lease_ms, struct store_done done)
{
	struct store_request_ms request = { lease_ms };

	return store_call_start(s, STORE_OP_QUEUE_GRACE, &request, done);
}

int store_queue_recover(struct store *s, const struct store_heartbeat *left,
			struct store_done done)
{
	return store_call_start(s, STORE_OP_QUEUE_RECOVER, left, done);
}

/* ------------------------------------------------------------------- logs */

int store_log_append(struct store *s, const struct store_log_append *append,
		     struct store_done done)
{
	return store_call_start(s, STORE_OP_LOG_APPEND, append, done);
}

int store_log_read(struct store *s, const struct store_log_query *query,
		   struct store_done done)
{
	return store_call_start(s, STORE_OP_LOG_READ, query, done);
}

/* ---------------------------------------------------------------- streams */

int store_stream_append(struct store *s,
			const struct store_stream_append *append,
			struct store_done done)
{
	return store_call_start(s, STORE_OP_STREAM_APPEND, append, done);
}

int store_stream_read(struct store *s, const struct store_stream_query *query,
		      struct store_done done)
{
	return store_call_start(s, STORE_OP_STREAM_READ, query, done);
}

int store_stream_get(struct store *s, const char *job, struct store_done done)
{
	struct store_request_id request = { job };

	return store_call_start(s, STORE_OP_STREAM_GET, &request, done);
}

int store_stream_sweep(struct store *s, struct store_done done)
{
	return store_call_start(s, STORE_OP_STREAM_SWEEP, NULL, done);
}

/* -------------------------------------------------------------- variables */

int store_variable_get(struct store *s, const char *key, struct store_done done)
{
	struct store_request_id request = { key };

	return store_call_start(s, STORE_OP_VARIABLE_GET, &request, done);
}

int store_variable_list(struct store *s,
			const struct store_variable_query *query,
			struct store_done done)
{
	return store_call_start(s, STORE_OP_VARIABLE_LIST, query, done);
}

int store_variable_put(struct store *s, const struct store_variable_put *put,
		       struct store_done done)
{
	return store_call_start(s, STORE_OP_VARIABLE_PUT, put, done);
}

int store_variable_delete(struct store *s,
			  const struct store_variable_delete *del,
			  struct store_done done)
{
	return store_call_start(s, STORE_OP_VARIABLE_DELETE, del, done);
}

int store_variable_increment(struct store *s,
			     const struct store_variable_increment *inc,
			     struct store_done done)
{
	return store_call_start(s, STORE_OP_VARIABLE_INCREMENT, inc, done);
}

int store_change_list(struct store *s, const struct store_change_query *query,
		      struct store_done done)
{
	return store_call_start(s, STORE_OP_CHANGE_LIST, query, done);
}

/* ---------------------------------------------------------------- runtime */

int store_execution_get(struct store *s, const char *execution,
			struct store_done done)
{
	struct store_request_id request = { execution };

	return store_call_start(s, STORE_OP_EXECUTION_GET, &request, done);
}

int store_output_set(struct store *s, const struct store_output_set *set,
		     struct store_done done)
{
	return store_call_start(s, STORE_OP_OUTPUT_SET, set, done);
}

int store_condition_set(struct store *s, const struct store_condition_set *set,
			struct store_done done)
{
	return store_call_start(s, STORE_OP_CONDITION_SET, set, done);
}

int store_condition_get(struct store *s, const char *execution,
			struct store_done done)
{
	struct store_request_id request = { execution };

	return store_call_start(s, STORE_OP_CONDITION_GET, &request, done);
}

/* ------------------------------------------------------------ tool actions */

int store_tool_begin(struct store *s, const struct store_tool_begin *begin,
		     struct store_done done)
{
	return store_call_start(s, STORE_OP_TOOL_BEGIN, begin, done);
}

int store_tool_finish(struct store *s, const struct store_tool_finish *finish,
		      struct store_done done)
{
	return store_call_start(s, STORE_OP_TOOL_FINISH, finish, done);
}

/* --------------------------------------------------------- audit, API keys */

int store_audit_append(struct store *s, const struct store_audit *entry,
		       struct store_done done)
{
	struct store_request_audit request = { *entry };

	return store_call_start(s, STORE_OP_AUDIT_APPEND, &request, done);
}

int store_audit_list(struct store *s, const struct store_audit_query *query,
		     struct store_done done)
{
	return store_call_start(s, STORE_OP_AUDIT_LIST, query, done);
}

int store_api_key_add(struct store *s, const struct store_api_key_new *add,
		      struct store_done done)
{
	return store_call_start(s, STORE_OP_API_KEY_ADD, add, done);
}

int store_api_key_delete(struct store *s,
			 const struct store_api_key_delete *del,
			 struct store_done done)
{
	return store_call_start(s, STORE_OP_API_KEY_DELETE, del, done);
}

int store_api_key_touch(struct store *s, const char *id, struct store_done done)
{
	struct store_request_id request = { id };

	return store_call_start(s, STORE_OP_API_KEY_TOUCH, &request, done);
}

int store_api_key_list(struct store *s, struct store_done done)
{
	return store_call_start(s, STORE_OP_API_KEY_LIST, NULL, done);
}
