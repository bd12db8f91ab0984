#include "backend/store_sql_job.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/clock.h"

/* ---------------------------------------------------------------- loading */

#define JOB_COLUMNS                                                                \
	"j.seq, coalesce(e.seq, 0), coalesce(e.state, 0), j.id, j.name, "          \
	"j.runtime, coalesce(e.executor, j.executor), e.id, e.agent, e.pod, "      \
	"j.reason, j.state, j.cancel_requested, j.cancel_reason, "                 \
	"coalesce(e.epoch, 0), coalesce(e.attempt, 1), j.created_ms, "             \
	"coalesce(e.claimed_ms, 0), coalesce(e.started_ms, 0), j.ended_ms, "       \
	"coalesce(e.lease_until_ms, 0), e.exit_code, coalesce(e.signal, 0), "      \
	"coalesce(e.oom_killed, 0), coalesce(e.user_us, 0), "                      \
	"coalesce(e.system_us, 0), coalesce(e.max_rss_kb, 0), "                    \
	"j.script_bytes, j.input_bytes, j.output_bytes, "                          \
	"coalesce(e.log_bytes, 0), coalesce(e.log_dropped, 0), j.labels, "         \
	"j.want_agent, j.parent, j.input_from, j.trace_id, j.input_stream, "       \
	"j.signature, j.host, j.retries, j.backoff_initial_ms, j.backoff_max_ms, " \
	"j.backoff_elapsed_ms, j.not_before_ms"
#define JOB_WITH_LATEST                                                       \
	" FROM jobs j LEFT JOIN executions e ON e.job = j.seq AND e.epoch = " \
	"j.epoch "
#define JOB_SPEC ", (SELECT data FROM payloads WHERE job = j.seq AND kind = 0)"

/* Reads JOB_COLUMNS, in their order, up to how far it has come; the number of
 * the next one. */
static int sql_job_read_progress(struct db_row *row, struct arena *a,
				 struct sql_job *out)
{
	struct store_job *j = &out->job;
	int i = 0;

	out->seq = db_column_int64(row, i++);
	out->execution_seq = db_column_int64(row, i++);
	out->execution_state = (enum job_state)db_column_int(row, i++);
	j->id = db_column_str(row, i++, a);
	j->name = db_column_str(row, i++, a);
	j->runtime = db_column_str(row, i++, a);
	j->executor = db_column_str(row, i++, a);
	j->execution = db_column_str(row, i++, a);
	j->agent = db_column_str(row, i++, a);
	j->pod = db_column_str(row, i++, a);
	j->reason = db_column_str(row, i++, a);
	j->state = (enum job_state)db_column_int(row, i++);
	j->cancel_requested = db_column_int(row, i++);
	j->cancel_reason = db_column_str(row, i++, a);
	j->epoch = db_column_int64(row, i++);
	j->attempt = db_column_int64(row, i++);
	j->created_ms = db_column_int64(row, i++);
	j->claimed_ms = db_column_int64(row, i++);
	j->started_ms = db_column_int64(row, i++);
	j->ended_ms = db_column_int64(row, i++);
	j->lease_until_ms = db_column_int64(row, i++);
	j->has_exit_code = !db_column_is_null(row, i);
	j->exit_code = db_column_int(row, i++);
	j->signal = db_column_int(row, i++);
	j->oom_killed = db_column_int(row, i++);
	j->usage.user_us = db_column_int64(row, i++);
	j->usage.system_us = db_column_int64(row, i++);
	j->usage.max_rss_kb = db_column_int64(row, i++);
	return i;
}

static void sql_job_read_row(struct db_row *row, struct arena *a,
			     struct sql_job *out)
{
	struct store_job *j = &out->job;
	int i = sql_job_read_progress(row, a, out);

	j->script_bytes = db_column_int64(row, i++);
	j->input_bytes = db_column_int64(row, i++);
	j->output_bytes = db_column_int64(row, i++);
	j->log_bytes = db_column_int64(row, i++);
	j->log_dropped_bytes = db_column_int64(row, i++);
	j->labels = db_column_blob(row, i++, a);
	j->want_agent = db_column_str(row, i++, a);
	j->parent = db_column_str(row, i++, a);
	j->input_from = db_column_str(row, i++, a);
	j->trace_id = db_column_str(row, i++, a);
	j->input_stream = db_column_int(row, i++);
	j->signature = db_column_str(row, i++, a);
	j->host = db_column_str(row, i++, a);
	j->retry.retries = db_column_int64(row, i++);
	j->retry.initial_ms = db_column_int64(row, i++);
	j->retry.max_ms = db_column_int64(row, i++);
	j->retry.elapsed_ms = db_column_int64(row, i++);
	j->not_before_ms = db_column_int64(row, i++);
	if (i < db_column_count(row))
		j->spec = db_column_blob(row, i, a);
}

static int sql_job_load_by(struct db *db, struct store_call *call,
			   const char *sql, struct db_arg key,
			   struct sql_job *out)
{
	struct db_row *row;
	int r = db_query(db, sql, DB_ARGS(key), &row);

	*out = (struct sql_job){ 0 };
	if (r == 0)
		sql_job_read_row(row, &call->arena, out);
	return r;
}

int sql_job_load(struct db *db, struct store_call *call, const char *id,
		 struct sql_job *out)
{
	static const char sql[] = "SELECT " JOB_COLUMNS JOB_SPEC JOB_WITH_LATEST
				  "WHERE j.id = ?1";
	int r = sql_job_load_by(db, call, sql, db_str(id), out);

	if (r == STORE_E_NOT_FOUND)
		return store_call_fail(call, r, "there is no job %s", id);
	return r;
}

int sql_job_load_seq(struct db *db, struct store_call *call, int64_t seq,
		     struct sql_job *out)
{
	static const char sql[] = "SELECT " JOB_COLUMNS JOB_SPEC JOB_WITH_LATEST
				  "WHERE j.seq = ?1";

	return sql_job_load_by(db, call, sql, db_int(seq), out);
}

int sql_job_load_execution(struct db *db, struct store_call *call,
			   const char *execution, struct sql_job *out)
{
	static const char sql[] =
		"SELECT " JOB_COLUMNS JOB_SPEC
		" FROM executions e JOIN jobs j ON j.seq = e.job "
		"WHERE e.id = ?1";
	int r = sql_job_load_by(db, call, sql, db_str(execution), out);

	if (r == STORE_E_NOT_FOUND)
		return store_call_fail(call, r, "there is no execution %s",
				       execution);
	return r;
}

int sql_payload_load(struct db *db, struct store_call *call, int64_t job,
		     int kind, struct store_blob *out)
{
	struct db_row *row;
	int r = db_query(db,
			 "SELECT data FROM payloads "
			 "WHERE job = ?1 AND kind = ?2",
			 DB_ARGS(db_int(job), db_int(kind)), &row);

	if (r == 0)
		*out = db_column_blob(row, 0, &call->arena);
	return r;
}

int sql_payload_save(struct db *db, int64_t job, int kind,
		     const struct store_blob *data)
{
	return db_exec(db,
		       "INSERT INTO payloads (job, kind, data) "
		       "VALUES (?1, ?2, ?3) "
		       "ON CONFLICT (job, kind) DO UPDATE "
		       "SET data = excluded.data",
		       DB_ARGS(db_int(job), db_int(kind),
			       db_blob(data->data, data->len)));
}

/* ------------------------------------------------------------ state moves */

int sql_job_set_state(struct db *db, const struct sql_job *job,
		      enum job_state state, const char *reason)
{
	int64_t ended_ms = job_state_ended(state) ? clock_wall_ms() : 0;
	int r;

	assert(job_state_may_move(job->job.state, state));
	r = db_exec(db,
		    "UPDATE jobs SET state = ?2, reason = ?3, "
		    "ended_ms = ?4, not_before_ms = 0 WHERE seq = ?1",
		    DB_ARGS(db_int(job->seq), db_int(state), db_str(reason),
			    db_int(ended_ms)));
	return r ? r : db_notify(db, STORE_NOTICE_JOB, job->job.id, 0);
}

int sql_execution_end(struct db *db, const struct sql_job *job,
		      enum job_state state)
{
	int r = db_exec(db,
			"UPDATE executions SET state = ?2, ended_ms = ?3, "
			"lease_until_ms = NULL WHERE seq = ?1",
			DB_ARGS(db_int(job->execution_seq), db_int(state),
				db_int(clock_wall_ms())));

	if (r < 0)
		return r;
	r = db_exec(db, "DELETE FROM repeats WHERE execution = ?1",
		    DB_ARGS(db_int(job->execution_seq)));
	if (r < 0)
		return r;
	return db_exec(db, "DELETE FROM tool_calls WHERE execution = ?1",
		       DB_ARGS(db_int(job->execution_seq)));
}

/* ----------------------------------------------------------------- submit */

static int submit_same(struct db *db, struct store_call *call, int64_t job,
		       int kind, const struct store_blob *data, bool *same)
{
	struct store_blob first = { NULL, 0 };
	int r = sql_payload_load(db, call, job, kind, &first);

	if (r < 0)
		return r;
	if (!first.data != !data->data || first.len != data->len ||
	    (first.len && memcmp(first.data, data->data, first.len)))
		*same = false;
	return 0;
}

/* 0 with result->repeated when this request was stored before. */
static int submit_find(struct db *db, struct store_call *call,
		       const struct store_job_new *new)
{
	static const char sql[] = "SELECT " JOB_COLUMNS JOB_SPEC JOB_WITH_LATEST
				  "WHERE j.idempotency_key = ?1";
	struct sql_job job;
	bool same = true;
	int r;

	if (!new->idempotency_key)
		return STORE_E_NOT_FOUND;
	r = sql_job_load_by(db, call, sql, db_str(new->idempotency_key), &job);
	if (r == 0)
		r = submit_same(db, call, job.seq, SQL_PAYLOAD_SPEC, &new->spec,
				&same);
	if (r == 0)
		r = submit_same(db, call, job.seq, STORE_SCRIPT, &new->script,
				&same);
	if (r == 0)
		r = submit_same(db, call, job.seq, STORE_INPUT, &new->input,
				&same);
	if (r)
		return r;
	if (!same)
		return store_call_fail(call, STORE_E_KEY_REUSED,
				       "this Idempotency-Key belongs to "
				       "another request, that made %s",
				       job.job.id);
	call->result.job = job.job;
	call->result.repeated = true;
	return 0;
}

static int submit_check_room(struct db *db, struct store_call *call,
			     int64_t max_queued)
{
	struct db_row *row;
	int r;

	if (!max_queued)
		return 0;
	r = db_query(db, "SELECT 1 FROM job_counts WHERE state = 0 AND n >= ?1",
		     DB_ARGS(db_int(max_queued)), &row);
	if (r == STORE_E_NOT_FOUND)
		return 0;
	if (r < 0)
		return r;
	return store_call_fail(call, STORE_E_LIMIT,
			       "%lld jobs are waiting already, which is the "
			       "limit; try again later",
			       (long long)max_queued);
}

static int submit_check_source(struct db *db, struct store_call *call,
			       const char *input_from)
{
	struct db_row *row;
	int r;

	if (!input_from)
		return 0;
	r = db_query(db, "SELECT 1 FROM jobs WHERE id = ?1",
		     DB_ARGS(db_str(input_from)), &row);
	if (r == STORE_E_NOT_FOUND)
		return store_call_fail(call, r,
				       "there is no job %s to take the input "
				       "stream from",
				       input_from);
	return r;
}

static int submit_insert(struct db *db, const struct store_job_new *new,
			 int64_t *seq)
{
	int r = db_query_int(
		db,
		"INSERT INTO jobs (id, idempotency_key, name, runtime, "
		"executor, state, created_ms, script_bytes, input_bytes, "
		"labels, want_agent, parent, input_from, trace_id, "
		"input_stream, bound, signature, host, retries, "
		"backoff_initial_ms, backoff_max_ms, backoff_elapsed_ms) "
		"VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7, ?8, ?9, ?10, ?11, "
		"?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21) "
		"RETURNING seq",
		DB_ARGS(db_str(new->id), db_str(new->idempotency_key),
			db_str(new->name), db_str(new->runtime),
			db_str(new->executor), db_int(clock_wall_ms()),
			db_int((int64_t) new->script.len),
			db_int((int64_t) new->input.len),
			new->labels.data
				? db_blob(new->labels.data, new->labels.len)
				: db_null(),
			db_str(new->want_agent), db_str(new->parent),
			db_str(new->input_from), db_str(new->trace_id),
			db_int(new->input_stream), db_int(new->bound),
			db_str(new->signature), db_str(new->host),
			db_int(new->retry.retries),
			db_int(new->retry.initial_ms),
			db_int(new->retry.max_ms),
			db_int(new->retry.elapsed_ms)),
		seq);

	if (r == 0 && new->spec.data)
		r = sql_payload_save(db, *seq, SQL_PAYLOAD_SPEC, &new->spec);
	if (r == 0 && new->script.data)
		r = sql_payload_save(db, *seq, STORE_SCRIPT, &new->script);
	if (r == 0 && new->input.data)
		r = sql_payload_save(db, *seq, STORE_INPUT, &new->input);
	return r ? r : db_notify(db, STORE_NOTICE_JOB, new->id, 0);
}

int sql_job_submit(struct db *db, struct store_call *call)
{
	const struct store_job_new *new = call->request;
	struct sql_job job;
	int64_t seq;
	int r = submit_find(db, call, new);

	if (r != STORE_E_NOT_FOUND)
		return r;
	r = submit_check_room(db, call, new->max_queued);
	if (r == 0)
		r = submit_check_source(db, call, new->input_from);
	if (r == 0)
		r = sql_host_check(db, call, new->host);
	if (r == 0)
		r = sql_family_check(db, call, new);
	if (r)
		return r;
	r = submit_insert(db, new, &seq);
	if (r == 0)
		r = sql_job_load_seq(db, call, seq, &job);
	if (r == 0)
		call->result.job = job.job;
	return r;
}

/* ---------------------------------------------------------------- reading */

int sql_job_get(struct db *db, struct store_call *call)
{
	const struct store_request_id *request = call->request;
	struct sql_job job;
	int r = sql_job_load(db, call, request->id, &job);

	if (r == 0)
		call->result.job = job.job;
	return r;
}

static int list_start(struct db *db, struct store_call *call, const char *id,
		      int64_t *seq)
{
	struct db_row *row;
	int r;

	*seq = INT64_MAX;
	if (!id)
		return 0;
	r = db_query(db, "SELECT seq FROM jobs WHERE id = ?1",
		     DB_ARGS(db_str(id)), &row);
	if (r == 0)
		*seq = db_column_int64(row, 0);
	if (r == STORE_E_NOT_FOUND)
		return store_call_fail(call, r, "there is no job %s", id);
	return r;
}

int sql_job_list(struct db *db, struct store_call *call)
{
	static const char sql_all[] = "SELECT " JOB_COLUMNS JOB_WITH_LATEST
				      "WHERE j.seq < ?1 "
				      "ORDER BY j.seq DESC LIMIT ?2";
	static const char sql_state[] = "SELECT " JOB_COLUMNS JOB_WITH_LATEST
					"WHERE j.seq < ?1 AND j.state = ?3 "
					"ORDER BY j.seq DESC LIMIT ?2";
	const struct store_job_query *q = call->request;
	size_t limit = MIN(MAX(q->limit, 1), STORE_LIST_MAX), n = 0;
	struct store_job *jobs;
	struct db_row *row;
	int64_t before;
	int r = list_start(db, call, q->before, &before);

	if (r)
		return r;
	jobs = arena_alloc(&call->arena, limit * sizeof(*jobs));
	if (!jobs)
		return -ENOMEM;
	if (q->state < 0)
		r = db_query(db, sql_all,
			     DB_ARGS(db_int(before),
				     db_int((int64_t)limit + 1)),
			     &row);
	else
		r = db_query(db, sql_state,
			     DB_ARGS(db_int(before), db_int((int64_t)limit + 1),
				     db_int(q->state)),
			     &row);
	for (; r == 0 && n < limit; r = db_next(db, row)) {
		struct sql_job job = { 0 };

		sql_job_read_row(row, &call->arena, &job);
		jobs[n++] = job.job;
	}
	call->result.jobs.items = jobs;
	call->result.jobs.n = n;
	call->result.jobs.more = r == 0;
	return MIN(r, 0);
}

int sql_job_count(struct db *db, struct store_call *call)
{
	struct db_row *row;
	int r = db_query(db, "SELECT state, n FROM job_counts", DB_NO_ARGS,
			 &row);

	for (; r == 0; r = db_next(db, row)) {
		unsigned int state = (unsigned int)db_column_int(row, 0);

		if (state < JOB_STATES)
			call->result.counts[state] = db_column_int64(row, 1);
	}
	return MIN(r, 0);
}

int sql_job_read(struct db *db, struct store_call *call)
{
	static const char *const names[] = { [STORE_SCRIPT] = "script",
					     [STORE_INPUT] = "input",
					     [STORE_OUTPUT] = "output" };
	const struct store_request_payload *request = call->request;
	struct sql_job job;
	int r = sql_job_load(db, call, request->job, &job);

	if (r)
		return r;
	call->result.job = job.job;
	r = sql_payload_load(db, call, job.seq, request->kind,
			     &call->result.blob);
	if (r == STORE_E_NOT_FOUND)
		return store_call_fail(call, r, "job %s has no %s",
				       request->job, names[request->kind]);
	return r;
}

/* ----------------------------------------------------------------- cancel */

int sql_job_cancel(struct db *db, struct store_call *call)
{
	const struct store_job_cancel *cancel = call->request;
	struct sql_job job;
	int r = sql_job_load(db, call, cancel->job, &job);

	if (r)
		return r;
	call->result.job = job.job;
	if (job_state_ended(job.job.state))
		return store_call_fail(call, STORE_E_ENDED,
				       "job %s has ended: it is %s",
				       cancel->job,
				       job_state_name(job.job.state));
	if (job.job.cancel_requested)
		return 0; /* the first reason stays */
	r = db_exec(db,
		    "UPDATE jobs SET cancel_requested = 1, "
		    "cancel_reason = ?2 WHERE seq = ?1",
		    DB_ARGS(db_int(job.seq), db_str(cancel->reason)));
	if (r == 0 && job.job.state == JOB_QUEUED)
		r = sql_job_set_state(db, &job, JOB_CANCELLED, cancel->reason);
	else if (r == 0)
		r = db_notify(db, STORE_NOTICE_JOB, job.job.id, 0);
	if (r == 0)
		r = sql_job_load_seq(db, call, job.seq, &job);
	if (r == 0)
		call->result.job = job.job;
	return r;
}
