/* Leases and completions. The state machine is in job_state.h. */
#include <errno.h>

#include "backend/store_queue.h"
#include "backend/store_sql_job.h"
#include "common/clock.h"

/* ----------------------------------------------------------------- leases */

static int lease_refuse(struct store_call *call,
			const struct store_lease *lease)
{
	return store_call_fail(call, STORE_E_STALE_EPOCH,
			       "epoch %lld of execution %s is over: its lease "
			       "ran out, or it was given back",
			       (long long)lease->epoch, lease->execution);
}

/* Loads the job of a lease that is out: 0; STORE_E_STALE_EPOCH; STORE_E_ENDED
 * when this very lease was completed, with the job loaded. */
static int lease_load(struct db *db, struct store_call *call,
		      const struct store_lease *lease, struct sql_job *job)
{
	int r = sql_job_load_execution(db, call, lease->execution, job);

	if (r)
		return r;
	if (job->job.epoch != lease->epoch ||
	    job->execution_state == JOB_QUEUED ||
	    job->execution_state == JOB_LOST)
		return lease_refuse(call, lease);
	if (job_state_ended(job->execution_state))
		return store_call_fail(call, STORE_E_ENDED,
				       "execution %s has ended: it is %s",
				       lease->execution,
				       job_state_name(job->execution_state));
	return 0;
}

/* Loads the job again after a change, as the result. */
static int lease_reload(struct db *db, struct store_call *call, int64_t seq)
{
	struct sql_job job;
	int r = sql_job_load_seq(db, call, seq, &job);

	if (r == 0)
		call->result.job = job.job;
	return r;
}

/* A claim that came to nothing. */
static int lease_return(struct db *db, const struct sql_job *job)
{
	bool cancel = job->job.cancel_requested;
	int r = sql_execution_end(db, job, JOB_QUEUED);

	if (r < 0)
		return r;
	return sql_job_set_state(db, job, cancel ? JOB_CANCELLED : JOB_QUEUED,
				 cancel ? job->job.cancel_reason : NULL);
}

int sql_queue_give_back(struct db *db, struct store_call *call)
{
	const struct store_give_back *give = call->request;
	struct sql_job job;
	int r = lease_load(db, call, &give->lease, &job);

	if (r)
		return r == STORE_E_ENDED ? lease_refuse(call, &give->lease)
					  : r;
	if (job.job.state != JOB_CLAIMED && !give->unbegun)
		return store_call_fail(call, STORE_E_STATE,
				       "execution %s was started: it can only "
				       "be completed",
				       give->lease.execution);
	r = lease_return(db, &job);
	if (r == 0)
		r = lease_reload(db, call, job.seq);
	return r;
}

int sql_queue_started(struct db *db, struct store_call *call)
{
	const struct store_started *started = call->request;
	struct sql_job job;
	int r = lease_load(db, call, &started->lease, &job);

	if (r)
		return r == STORE_E_ENDED ? lease_refuse(call, &started->lease)
					  : r;
	if (job.job.state == JOB_RUNNING) {
		call->result.job = job.job;
		call->result.repeated = true;
		return 0;
	}
	r = db_exec(db,
		    "UPDATE executions SET state = ?2, started_ms = ?3, "
		    "pod = ?4, executor = ?5 WHERE seq = ?1",
		    DB_ARGS(db_int(job.execution_seq), db_int(JOB_RUNNING),
			    db_int(clock_wall_ms()), db_str(started->pod),
			    db_str(started->executor)));
	if (r == 0)
		r = sql_job_set_state(db, &job, JOB_RUNNING, NULL);
	if (r == 0)
		r = lease_reload(db, call, job.seq);
	return r;
}

/* -------------------------------------------------------------- heartbeat */

struct heartbeat {
	struct store_stop *cancel;
	const char **lost;
	size_t n_cancel, n_lost;
};

static int heartbeat_extend(struct db *db, struct store_call *call,
			    const struct store_lease *lease, int64_t until_ms,
			    struct heartbeat *out)
{
	struct db_row *row;
	int r = sql_job_lock_execution(db, lease->execution);

	if (r < 0)
		return r;
	r = db_query(db,
		     "SELECT e.seq, j.cancel_requested, j.cancel_reason "
		     "FROM executions e JOIN jobs j ON j.seq = e.job "
		     "WHERE e.id = ?1 AND e.epoch = ?2 "
		     "AND e.lease_until_ms IS NOT NULL",
		     DB_ARGS(db_str(lease->execution), db_int(lease->epoch)),
		     &row);

	if (r == STORE_E_NOT_FOUND) {
		out->lost[out->n_lost++] = lease->execution;
		return 0;
	}
	if (r < 0)
		return r;
	if (db_column_int(row, 1))
		out->cancel[out->n_cancel++] = (struct store_stop){
			lease->execution, db_column_str(row, 2, &call->arena)
		};
	return db_exec(db,
		       "UPDATE executions SET lease_until_ms = "
		       "CASE WHEN lease_until_ms < ?2 THEN ?2 "
		       "ELSE lease_until_ms END WHERE seq = ?1",
		       DB_ARGS(db_int(db_column_int64(row, 0)),
			       db_int(until_ms)));
}

int sql_queue_heartbeat(struct db *db, struct store_call *call)
{
	const struct store_heartbeat *h = call->request;
	struct arena *a = &call->arena;
	struct heartbeat out = { 0 };
	int r = 0;

	if (h->n > STORE_HEARTBEAT_MAX)
		return store_call_fail(call, STORE_E_LIMIT,
				       "a heartbeat is for at most %d "
				       "executions",
				       STORE_HEARTBEAT_MAX);
	out.cancel = arena_alloc(a, h->n * sizeof(*out.cancel));
	out.lost = arena_alloc(a, h->n * sizeof(*out.lost));
	if (a->failed)
		return -ENOMEM;
	r = sql_agent_status(db, h->agent, &h->status);
	for (size_t i = 0; r == 0 && i < h->n; i++)
		r = heartbeat_extend(db, call, &h->leases[i],
				     db_now_ms(db) + h->lease_ms, &out);
	call->result.heartbeat.cancel = out.cancel;
	call->result.heartbeat.n_cancel = out.n_cancel;
	call->result.heartbeat.lost = out.lost;
	call->result.heartbeat.n_lost = out.n_lost;
	return r;
}

int sql_queue_recover(struct db *db, struct store_call *call)
{
	const struct store_heartbeat *left = call->request;
	int r = db_exec(db,
			"UPDATE executions SET lease_until_ms = 0 "
			"WHERE agent = ?1 AND lease_until_ms IS NOT NULL",
			DB_ARGS(db_str(left->agent)));

	return r < 0 ? r : sql_queue_heartbeat(db, call);
}

/* --------------------------------------------------------------- complete */

static int telemetry_save(struct db *db, const struct sql_job *job,
			  const struct store_blob *telemetry)
{
	if (!telemetry->data)
		return 0;
	return db_exec(db,
		       "INSERT INTO telemetry (execution, data) "
		       "VALUES (?1, ?2) ON CONFLICT (execution) DO NOTHING",
		       DB_ARGS(db_int(job->execution_seq),
			       db_blob(telemetry->data, telemetry->len)));
}

static int complete_store(struct db *db, const struct sql_job *job,
			  const struct store_complete *c)
{
	const struct sql_attempt attempt = {
		.state = c->state,
		.reason = !c->reason && c->state == JOB_CANCELLED
				  ? job->job.cancel_reason
				  : c->reason,
		.has_exit_code = c->has_exit_code,
		.exit_code = c->exit_code,
		.signal = c->signal,
	};
	int r = db_exec(
		db,
		"UPDATE executions SET exit_code = ?2, signal = ?3, "
		"oom_killed = ?4, user_us = ?5, system_us = ?6, "
		"max_rss_kb = ?7, peak_memory_bytes = ?8, read_bytes = ?9, "
		"write_bytes = ?10, log_dropped = log_dropped + ?11 "
		"WHERE seq = ?1",
		DB_ARGS(db_int(job->execution_seq),
			c->has_exit_code ? db_int(c->exit_code) : db_null(),
			db_int(c->signal), db_int(c->oom_killed),
			db_int(c->usage.user_us), db_int(c->usage.system_us),
			db_int(c->usage.max_rss_kb),
			db_int(c->usage.peak_memory_bytes),
			db_int(c->usage.read_bytes),
			db_int(c->usage.write_bytes),
			db_int(MAX(c->log_dropped_bytes, 0))));
	if (r == 0)
		r = telemetry_save(db, job, &c->telemetry);
	if (r == 0)
		r = sql_execution_end(db, job, c->state);
	return r ? r : sql_retry_or_end(db, job, &attempt);
}

int sql_queue_complete(struct db *db, struct store_call *call)
{
	const struct store_complete *complete = call->request;
	struct sql_job job;
	int r;

	if (!job_state_ended(complete->state))
		return store_call_fail(call, STORE_E_STATE,
				       "%s is no state to complete with",
				       job_state_name(complete->state));
	r = lease_load(db, call, &complete->lease, &job);
	if (r == STORE_E_ENDED) {
		call->result.message = NULL;
		call->result.repeated = true;
		call->result.job = job.job;
		return 0;
	}
	/* As where its lease runs out: what was not started is not lost. */
	if (r == 0 && complete->state == JOB_LOST &&
	    job.job.state == JOB_CLAIMED)
		r = lease_return(db, &job);
	else if (r == 0)
		r = complete_store(db, &job, complete);
	if (r == 0)
		r = lease_reload(db, call, job.seq);
	return r;
}

/* ----------------------------------------------------------------- expiry */

static int expire_one(struct db *db, struct store_call *call, int64_t seq,
		      struct store_job *out)
{
	static const struct sql_attempt lost = {
		.state = JOB_LOST,
		.reason = "its agent stopped answering: the lease ran out",
	};
	const struct store_request_ms *now = call->request;
	struct sql_job job;
	int r = sql_job_load_seq(db, call, seq, &job);

	if (r == 0 && (!job_state_live(job.job.state) ||
		       job.job.lease_until_ms >= now->ms))
		return STORE_E_NOT_FOUND;
	if (r == 0 && job.job.state == JOB_CLAIMED) {
		r = lease_return(db, &job);
	} else if (r == 0) {
		r = sql_execution_end(db, &job, JOB_LOST);
		if (r == 0)
			r = sql_retry_or_end(db, &job, &lost);
	}
	if (r == 0)
		r = sql_job_load_seq(db, call, seq, &job);
	*out = job.job;
	return r;
}

int sql_queue_each(struct db *db, struct store_call *call, const char *query,
		   sql_queue_one_fn *one)
{
	const struct store_request_ms *now = call->request;
	struct store_job *jobs = arena_zalloc(&call->arena,
					      STORE_LIST_MAX * sizeof(*jobs));
	int64_t *seqs = arena_alloc(&call->arena,
				    STORE_LIST_MAX * sizeof(*seqs));
	size_t n = 0, done = 0;
	struct db_row *row;
	int r;

	if (call->arena.failed)
		return -ENOMEM;
	r = db_query(db, query,
		     DB_ARGS(db_int(now->ms), db_int(STORE_LIST_MAX)), &row);
	for (; r == 0; r = db_next(db, row))
		seqs[n++] = db_column_int64(row, 0);
	r = MIN(r, 0);
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = sql_job_lock_seq(db, seqs[i]);
		if (r == 0)
			r = one(db, call, seqs[i], &jobs[done]);
		done += r == 0;
		if (r == STORE_E_NOT_FOUND) /* another backend was first */
			r = 0;
	}
	call->result.jobs.items = jobs;
	call->result.jobs.n = done;
	return r;
}

int sql_queue_next(struct db *db, struct store_call *call, const char *query)
{
	struct db_row *row;
	int r = db_query(db, query, DB_NO_ARGS, &row);

	if (r == 0)
		call->result.jobs.next_ms = db_column_int64(row, 0);
	return MIN(r, 0);
}

int sql_queue_expire(struct db *db, struct store_call *call)
{
	int r = sql_queue_each(db, call,
			       "SELECT job FROM executions "
			       "WHERE lease_until_ms < ?1 "
			       "ORDER BY lease_until_ms LIMIT ?2",
			       expire_one);

	return r < 0 ? r
		     : sql_queue_next(db, call,
				      "SELECT min(lease_until_ms) "
				      "FROM executions "
				      "WHERE lease_until_ms IS NOT NULL");
}

int sql_queue_grace(struct db *db, struct store_call *call)
{
	const struct store_request_ms *lease = call->request;
	int64_t now_ms = db_now_ms(db);

	/* Also of those that are longer: somebody has set the clock back. But
	 * not where agents were heard all the time: by another backend. */
	return db_exec(db,
		       "UPDATE executions SET lease_until_ms = ?1 "
		       "WHERE lease_until_ms IS NOT NULL AND NOT EXISTS "
		       "(SELECT 1 FROM agents WHERE seen_ms > ?2 "
		       "AND backend IS NOT NULL)",
		       DB_ARGS(db_int(now_ms + lease->ms),
			       db_int(now_ms - lease->ms / 2)));
}
