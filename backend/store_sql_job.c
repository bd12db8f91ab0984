#include "backend/store_sql_job.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "backend/store_no_wait.h"
#include "backend/store_sql_session.h"
#include "common/clock.h"

/* ---------------------------------------------------------------- loading */

#define JOB_COLUMNS                                                                \
	"j.seq, coalesce(e.seq, 0), coalesce(e.state, 0), j.id, j.name, "          \
	"j.runtime, coalesce(e.executor, j.executor), e.id, e.agent, e.pod, "      \
	"j.reason, j.state, j.cancel_requested, j.cancel_reason, "                 \
	"coalesce(e.epoch, 0), coalesce(e.attempt, 1), j.created_ms, "             \
	"coalesce(e.claimed_ms, 0), coalesce(e.started_ms, 0), j.ended_ms, "       \
	"coalesce(e.lease_until_ms, 0), e.exit_code, coalesce(e.signal, 0), "      \
	"coalesce(e.oom_killed, 0), coalesce(e.user_us, -1), "                     \
	"coalesce(e.system_us, -1), coalesce(e.max_rss_kb, -1), "                  \
	"coalesce(e.peak_memory_bytes, -1), coalesce(e.read_bytes, -1), "          \
	"coalesce(e.write_bytes, -1), "                                            \
	"j.script_bytes, j.input_bytes, j.output_bytes, "                          \
	"coalesce(e.log_bytes, 0), coalesce(e.log_dropped, 0), j.labels, "         \
	"j.want_agent, j.parent, j.input_from, j.trace_id, j.input_stream, "       \
	"j.signature, j.host, j.retries, j.backoff_initial_ms, j.backoff_max_ms, " \
	"j.backoff_elapsed_ms, j.not_before_ms, coalesce(j.session, 0), s.id, "    \
	"s.name, s.reason, j.held, j.no_wait, p.want_labels"
#define JOB_JOINS                                     \
	" LEFT JOIN sessions s ON s.seq = j.session " \
	"LEFT JOIN placements p ON p.id = j.placement "
#define JOB_WITH_LATEST                                                       \
	" FROM jobs j LEFT JOIN executions e ON e.job = j.seq AND e.epoch = " \
	"j.epoch" JOB_JOINS
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
	j->usage.peak_memory_bytes = db_column_int64(row, i++);
	j->usage.read_bytes = db_column_int64(row, i++);
	j->usage.write_bytes = db_column_int64(row, i++);
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
	out->session_seq = db_column_int64(row, i++);
	j->session = db_column_str(row, i++, a);
	j->session_name = db_column_str(row, i++, a);
	j->session_reason = db_column_str(row, i++, a);
	j->held = db_column_int(row, i++);
	j->no_wait = db_column_int(row, i++);
	j->want_labels = db_column_str(row, i++, a);
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

int sql_job_lock(struct db *db, const char *id)
{
	static const struct db_sql sql = {
		{ [DB_POSTGRES] = "SELECT 1 FROM jobs WHERE id = ?1 "
				  "FOR NO KEY UPDATE" }
	};

	return db_lock(db, &sql, DB_ARGS(db_str(id)));
}

int sql_job_lock_seq(struct db *db, int64_t seq)
{
	static const struct db_sql sql = {
		{ [DB_POSTGRES] = "SELECT 1 FROM jobs WHERE seq = ?1 "
				  "FOR NO KEY UPDATE" }
	};

	return db_lock(db, &sql, DB_ARGS(db_int(seq)));
}

int sql_job_lock_execution(struct db *db, const char *execution)
{
	static const struct db_sql sql = {
		{ [DB_POSTGRES] = "SELECT 1 FROM jobs WHERE seq = (SELECT job "
				  "FROM executions WHERE id = ?1) "
				  "FOR NO KEY UPDATE" }
	};

	return db_lock(db, &sql, DB_ARGS(db_str(execution)));
}

int sql_job_load(struct db *db, struct store_call *call, const char *id,
		 struct sql_job *out)
{
	static const char sql[] = "SELECT " JOB_COLUMNS JOB_SPEC JOB_WITH_LATEST
				  "WHERE j.id = ?1";
	int r = sql_job_lock(db, id);

	if (r == 0)
		r = sql_job_load_by(db, call, sql, db_str(id), out);

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

int sql_job_load_key(struct db *db, struct store_call *call, const char *key,
		     struct sql_job *out)
{
	static const char sql[] = "SELECT " JOB_COLUMNS JOB_SPEC JOB_WITH_LATEST
				  "WHERE j.idempotency_key = ?1";

	return sql_job_load_by(db, call, sql, db_str(key), out);
}

int sql_job_load_execution(struct db *db, struct store_call *call,
			   const char *execution, struct sql_job *out)
{
	static const char sql[] =
		"SELECT " JOB_COLUMNS JOB_SPEC
		" FROM executions e JOIN jobs j ON j.seq = e.job" JOB_JOINS
		"WHERE e.id = ?1";
	int r = sql_job_lock_execution(db, execution);

	if (r == 0)
		r = sql_job_load_by(db, call, sql, db_str(execution), out);

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
	enum session_state session = SESSION_ACTIVE;
	int64_t ended_ms;
	int r = 0;

	assert(job_state_may_move(job->job.state, state));
	/* It may have been paused or ended since the job was claimed. */
	if (state == JOB_QUEUED && job->session_seq)
		r = sql_session_state(db, job->session_seq, &session);
	if (r < 0)
		return r;
	if (session == SESSION_ENDED)
		state = JOB_CANCELLED;
	ended_ms = job_state_ended(state) ? clock_wall_ms() : 0;
	r = db_exec(db,
		    "UPDATE jobs SET state = ?2, reason = ?3, "
		    "ended_ms = ?4, not_before_ms = 0, held = ?5 "
		    "WHERE seq = ?1",
		    DB_ARGS(db_int(job->seq), db_int(state), db_str(reason),
			    db_int(ended_ms),
			    db_int(session == SESSION_PAUSED)));
	return r ? r
		 : db_notify(db, STORE_NOTICE_JOB, job->job.id,
			     job_state_ended(state) ? STORE_NOTICE_JOB_ENDED
			     : state == JOB_QUEUED  ? STORE_NOTICE_JOB_QUEUED
						    : STORE_NOTICE_JOB_OTHER);
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

/* ---------------------------------------------------------------- reading */

static int telemetry_load(struct db *db, struct store_call *call,
			  struct sql_job *job)
{
	struct db_row *row;
	int r = db_query(db, "SELECT data FROM telemetry WHERE execution = ?1",
			 DB_ARGS(db_int(job->execution_seq)), &row);

	if (r == 0)
		job->job.telemetry = db_column_blob(row, 0, &call->arena);
	return MIN(r, 0);
}

int sql_job_get(struct db *db, struct store_call *call)
{
	const struct store_request_id *request = call->request;
	struct sql_job job;
	int r = sql_job_load(db, call, request->id, &job);

	if (r == 0)
		r = telemetry_load(db, call, &job);
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

/* One for each of: all, of a state, of a session, of both. */
static const char *list_sql(const struct store_job_query *q)
{
#define LIST(where)                                                     \
	"SELECT " JOB_COLUMNS JOB_WITH_LATEST "WHERE j.seq < ?1 " where \
	" ORDER BY j.seq DESC LIMIT ?2"
	if (q->state < 0)
		return q->session ? LIST("AND j.session = ?3") : LIST("");
	return q->session ? LIST("AND j.state = ?3 AND j.session = ?4")
			  : LIST("AND j.state = ?3");
#undef LIST
}

static int list_read(struct db *db, struct store_call *call, const char *sql,
		     const struct db_arg *args, size_t limit)
{
	struct store_job *jobs = arena_alloc(&call->arena,
					     limit * sizeof(*jobs));
	struct db_row *row;
	size_t n = 0;
	int r;

	if (!jobs)
		return -ENOMEM;
	r = db_query(db, sql, args, &row);
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

int sql_job_list(struct db *db, struct store_call *call)
{
	const struct store_job_query *q = call->request;
	size_t limit = MIN(MAX(q->limit, 1), STORE_LIST_MAX), n = 2;
	int64_t before, session = 0;
	struct db_arg args[5] = { { .type = DB_END } };
	int r = list_start(db, call, q->before, &before);

	if (r == 0 && q->session)
		r = sql_session_find(db, call, q->session, &session);
	if (r)
		return r;
	args[0] = db_int(before);
	args[1] = db_int((int64_t)limit + 1);
	if (q->state >= 0)
		args[n++] = db_int(q->state);
	if (q->session)
		args[n++] = db_int(session);
	return list_read(db, call, list_sql(q), args, limit);
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

/* ---------------------------------------------------------------- no_wait */

int sql_job_fail(struct db *db, struct store_call *call)
{
	const struct store_job_fail *fail = call->request;
	struct sql_job job;
	int r = sql_job_load(db, call, fail->job, &job);

	if (r)
		return r;
	call->result.job = job.job;
	if (job.job.state != JOB_QUEUED)
		return store_call_fail(call, STORE_E_STATE,
				       "job %s is %s: it waits no more",
				       fail->job,
				       job_state_name(job.job.state));
	r = sql_job_set_state(db, &job, JOB_FAILED, fail->reason);
	if (r == 0)
		r = sql_job_load_seq(db, call, job.seq, &job);
	if (r == 0)
		call->result.job = job.job;
	return r;
}

int sql_job_no_wait(struct db *db, struct store_call *call)
{
	static const char sql[] = "SELECT " JOB_COLUMNS JOB_WITH_LATEST
				  "WHERE j.no_wait = 1 AND j.state = 0 "
				  "AND j.not_before_ms = 0 "
				  "ORDER BY j.seq LIMIT ?1";

	return list_read(db, call, sql, DB_ARGS(db_int(STORE_LIST_MAX)),
			 STORE_LIST_MAX);
}
