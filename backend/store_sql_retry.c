/*
 * What becomes of a job whose execution has ended: it has, too, or it waits in
 * the queue for its next try. Its log goes on, and says which.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "backend/store_job.h"
#include "backend/store_sql_job.h"
#include "common/clock.h"

#define RETRY_TEXT_MAX_BYTES 512

/* ------------------------------------------------------------- the verdict */

enum retry_verdict {
	RETRY_NONE,    /* nobody asked for one, or it is no failure */
	RETRY_AGAIN,   /* after wait_ms */
	RETRY_LATE,    /* too long after the first failure */
	RETRY_WRITTEN, /* others may have read of its output stream */
};

struct retry {
	enum retry_verdict verdict;
	int64_t failed_ms, wait_ms;
};

/* Doubles from initial_ms to max_ms. */
static int64_t retry_wait_ms(const struct store_retry *retry, int64_t attempt)
{
	int64_t wait_ms = retry->initial_ms;

	while (--attempt > 0 && wait_ms < retry->max_ms)
		wait_ms *= 2;
	return MIN(wait_ms, retry->max_ms);
}

/* Whether its output stream has records, or an end: written once more they
 * would not be what was promised to its readers. */
static int retry_has_written(struct db *db, int64_t job, bool *written)
{
	struct db_row *row;
	int r = db_query(db,
			 "SELECT 1 FROM streams WHERE job = ?1 AND kind = ?2 "
			 "AND (records > 0 OR ended <> 0)",
			 DB_ARGS(db_int(job), db_int(STORE_STREAM_OUTPUT)),
			 &row);

	*written = r == 0;
	return MIN(r, 0);
}

static int retry_first_failure(struct db *db, int64_t job, int64_t *ms)
{
	struct db_row *row;
	int r = db_query(db, "SELECT failed_ms FROM jobs WHERE seq = ?1",
			 DB_ARGS(db_int(job)), &row);

	if (r)
		return r > 0 ? -EIO : r;
	*ms = db_column_int64(row, 0);
	return 0;
}

static int retry_judge(struct db *db, const struct sql_job *job,
		       enum job_state state, struct retry *out)
{
	const struct store_retry *retry = &job->job.retry;
	int64_t now_ms = db_now_ms(db);
	bool written;
	int r;

	*out = (struct retry){ .verdict = RETRY_NONE };
	if ((state != JOB_FAILED && state != JOB_TIMED_OUT &&
	     state != JOB_LOST) ||
	    job->job.cancel_requested || job->job.attempt > retry->retries)
		return 0;
	r = retry_first_failure(db, job->seq, &out->failed_ms);
	if (r == 0)
		r = retry_has_written(db, job->seq, &written);
	if (r < 0)
		return r;
	if (!out->failed_ms)
		out->failed_ms = now_ms;
	out->wait_ms = retry_wait_ms(retry, job->job.attempt);
	out->verdict = RETRY_AGAIN;
	if (now_ms + out->wait_ms > out->failed_ms + retry->elapsed_ms)
		out->verdict = RETRY_LATE;
	if (written)
		out->verdict = RETRY_WRITTEN;
	return 0;
}

/* --------------------------------------------------------------- the words */

/* "attempt 1 failed (exit code 3)" */
static void retry_describe(const struct sql_job *job,
			   const struct sql_attempt *a, char *out, size_t size)
{
	const char *how = a->state == JOB_FAILED      ? "failed"
			  : a->state == JOB_TIMED_OUT ? "timed out"
						      : "was lost";
	char code[32] = "";

	if (a->signal)
		snprintf(code, sizeof(code), "signal %d", a->signal);
	else if (a->has_exit_code)
		snprintf(code, sizeof(code), "exit code %d", a->exit_code);
	if (a->state != JOB_TIMED_OUT && (a->reason || *code))
		snprintf(out, size, "attempt %" PRId64 " %s (%.300s)",
			 job->job.attempt, how, a->reason ? a->reason : code);
	else
		snprintf(out, size, "attempt %" PRId64 " %s", job->job.attempt,
			 how);
}

/* Appends a line to the log, unless that has its end cut off already. */
static int retry_notice(struct db *db, const struct sql_job *job,
			const char *line, size_t len)
{
	int r;

	if (job->job.log_dropped_bytes)
		return 0;
	r = db_exec(db, SQL_LOG_INSERT,
		    DB_ARGS(db_int(job->seq), db_int(job->job.log_bytes),
			    db_int(STORE_NOTICE), db_blob(line, len)));
	if (r < 0)
		return r;
	return db_exec(db,
		       "UPDATE executions SET log_bytes = log_bytes + ?2 "
		       "WHERE seq = ?1",
		       DB_ARGS(db_int(job->execution_seq),
			       db_int((int64_t)len)));
}

static int retry_tell(struct db *db, const struct sql_job *job,
		      const struct retry *retry, const char *what)
{
	const struct store_retry *asked = &job->job.retry;
	char line[2 * RETRY_TEXT_MAX_BYTES];
	int len = 0;

	switch (retry->verdict) {
	case RETRY_NONE:
		return 0;
	case RETRY_AGAIN:
		len = snprintf(line, sizeof(line),
			       "%s; attempt %" PRId64 " of %" PRId64
			       " in %.10g s\n",
			       what, job->job.attempt + 1, asked->retries + 1,
			       (double)retry->wait_ms / 1000);
		break;
	case RETRY_LATE:
		len = snprintf(line, sizeof(line),
			       "%s; it is not tried again: that would be more "
			       "than %.10g s after the first failure\n",
			       what, (double)asked->elapsed_ms / 1000);
		break;
	case RETRY_WRITTEN:
		len = snprintf(line, sizeof(line),
			       "%s; it is not tried again: it has written to "
			       "its output stream\n",
			       what);
		break;
	}
	return retry_notice(db, job, line, (size_t)len);
}

/* --------------------------------------------------------------- the deed */

/* The output of the last attempt is the one that counts. */
static int retry_drop_output(struct db *db, int64_t job)
{
	int r = db_exec(db, "DELETE FROM payloads WHERE job = ?1 AND kind = ?2",
			DB_ARGS(db_int(job), db_int(STORE_OUTPUT)));

	if (r < 0)
		return r;
	return db_exec(db, "UPDATE jobs SET output_bytes = -1 WHERE seq = ?1",
		       DB_ARGS(db_int(job)));
}

static int retry_queue(struct db *db, const struct sql_job *job,
		       const struct retry *retry, const char *what)
{
	int r = retry_drop_output(db, job->seq);

	if (r == 0)
		r = sql_job_set_state(db, job, JOB_QUEUED, what);
	if (r < 0)
		return r;
	return db_exec(db,
		       "UPDATE jobs SET failed_ms = ?2, not_before_ms = ?3 "
		       "WHERE seq = ?1",
		       DB_ARGS(db_int(job->seq), db_int(retry->failed_ms),
			       db_int(db_now_ms(db) + retry->wait_ms)));
}

int sql_retry_or_end(struct db *db, const struct sql_job *job,
		     const struct sql_attempt *attempt)
{
	char what[RETRY_TEXT_MAX_BYTES];
	struct retry retry;
	int r = retry_judge(db, job, attempt->state, &retry);

	if (r < 0)
		return r;
	retry_describe(job, attempt, what, sizeof(what));
	r = retry_tell(db, job, &retry, what);
	if (r < 0)
		return r;
	if (retry.verdict == RETRY_AGAIN)
		return retry_queue(db, job, &retry, what);
	return sql_job_set_state(db, job, attempt->state, attempt->reason);
}

/* ------------------------------------------------------------- their time */

static int due_release(struct db *db, struct store_call *call, int64_t seq,
		       struct store_job *out)
{
	struct sql_job job;
	int r = sql_job_load_seq(db, call, seq, &job);

	if (r == 0 && !job.job.not_before_ms)
		return STORE_E_NOT_FOUND;
	if (r == 0)
		r = db_exec(db,
			    "UPDATE jobs SET not_before_ms = 0 WHERE seq = ?1",
			    DB_ARGS(db_int(seq)));
	if (r == 0)
		r = sql_job_load_seq(db, call, seq, &job);
	if (r == 0)
		r = db_notify(db, STORE_NOTICE_JOB, job.job.id,
			      STORE_NOTICE_JOB_QUEUED);
	if (r == 0)
		*out = job.job;
	return r;
}

int sql_queue_due(struct db *db, struct store_call *call)
{
	int r = sql_queue_each(db, call,
			       "SELECT seq FROM jobs "
			       "WHERE not_before_ms > 0 "
			       "AND not_before_ms <= ?1 "
			       "ORDER BY not_before_ms LIMIT ?2",
			       due_release);

	return r < 0 ? r
		     : sql_queue_next(db, call,
				      "SELECT min(not_before_ms) FROM jobs "
				      "WHERE not_before_ms > 0");
}
