/* Jobs that an execution started: how many, how deep, and their end with it. */
#include <errno.h>

#include "backend/store_job.h"
#include "backend/store_sql_job.h"

/* How many jobs are above one whose parent is this execution, counted up to
 * max, and the topmost of those. */
static int family_depth(struct db *db, struct store_call *call,
			const char *parent, int64_t max, int64_t *depth,
			int64_t *top)
{
	struct db_row *row;
	int r = 0;

	for (*depth = 0; parent && *depth < max; (*depth)++) {
		r = db_query(db,
			     "SELECT j.parent, j.seq FROM executions e "
			     "JOIN jobs j ON j.seq = e.job WHERE e.id = ?1",
			     DB_ARGS(db_str(parent)), &row);
		if (r)
			break;
		parent = db_column_str(row, 0, &call->arena);
		*top = db_column_int64(row, 1);
		db_reset(db);
	}
	return MIN(r, 0);
}

static int family_count(struct db *db, const char *parent, int64_t *n)
{
	struct db_row *row;
	int r = db_query(db, "SELECT count(*) FROM jobs WHERE parent = ?1",
			 DB_ARGS(db_str(parent)), &row);

	if (r == 0)
		*n = db_column_int64(row, 0);
	return MIN(r, 0);
}

/* How many jobs are below this one, counted up to max. */
static int family_size(struct db *db, int64_t top, int64_t max, int64_t *n)
{
	struct db_row *row;
	int r = db_query(db,
			 "WITH RECURSIVE below(seq) AS (SELECT seq FROM jobs "
			 "WHERE seq = ?1 UNION ALL "
			 "SELECT j.seq FROM below b "
			 "JOIN executions e ON e.job = b.seq "
			 "JOIN jobs j ON j.parent = e.id) SELECT count(*) - 1 "
			 "FROM (SELECT 1 FROM below LIMIT ?2) AS counted",
			 DB_ARGS(db_int(top), db_int(max + 1)), &row);

	if (r == 0)
		*n = db_column_int64(row, 0);
	return MIN(r, 0);
}

/* Of one family one transaction at a time counts, up to its end: another one
 * may be about to commit jobs that are not seen yet. */
static int family_lock(struct db *db, int64_t top)
{
	static const struct db_sql sql = {
		{ [DB_POSTGRES] = "SELECT pg_advisory_xact_lock(hashtext("
				  "'cronium family ' || current_schema()), "
				  "hashint8(?1))" }
	};

	return db_lock(db, &sql, DB_ARGS(db_int(top)));
}

int sql_family_check(struct db *db, struct store_call *call,
		     const struct store_job_new *new)
{
	struct sql_job job;
	int64_t n = 0, depth = 0, top = 0, all = 0;
	int r;

	if (!new->parent)
		return 0;
	r = sql_job_load_execution(db, call, new->parent, &job);
	if (r)
		return r;
	if (!job_state_live(job.execution_state))
		return store_call_fail(call, STORE_E_ENDED,
				       "execution %s has ended", new->parent);
	r = family_count(db, new->parent, &n);
	if (r == 0)
		r = family_depth(db, call, new->parent, new->max_depth + 1,
				 &depth, &top);
	if (r == 0)
		r = family_lock(db, top);
	if (r == 0)
		r = family_size(db, top, new->max_family, &all);
	if (r == 0 && n >= new->max_children)
		r = store_call_fail(call, STORE_E_FAMILY,
				    "this execution has started %lld jobs, "
				    "which is the limit",
				    (long long)n);
	else if (r == 0 && depth > new->max_depth)
		r = store_call_fail(call, STORE_E_FAMILY,
				    "this job is %lld deep in jobs that jobs "
				    "have started, which is the limit",
				    (long long)new->max_depth);
	else if (r == 0 && all >= new->max_family)
		r = store_call_fail(call, STORE_E_FAMILY,
				    "%lld jobs have come of the first job, "
				    "which is the limit",
				    (long long)all);
	return r;
}

/* ---------------------------------------------------------------- orphans */

static int orphan_cancel(struct db *db, struct store_call *call, int64_t seq,
			 struct store_job *out)
{
	static const char reason[] = "the job that waited for it has ended";
	struct sql_job job;
	int r = sql_job_lock_seq(db, seq);

	if (r == 0)
		r = sql_job_load_seq(db, call, seq, &job);
	if (r == 0 && job_state_ended(job.job.state))
		return STORE_E_NOT_FOUND;
	if (r == 0)
		r = db_exec(db,
			    "UPDATE jobs SET cancel_requested = 1, "
			    "cancel_reason = ?2, bound = 0 WHERE seq = ?1",
			    DB_ARGS(db_int(seq), db_str(reason)));
	if (r == 0 && job.job.state == JOB_QUEUED)
		r = sql_job_set_state(db, &job, JOB_CANCELLED, reason);
	else if (r == 0)
		r = db_notify(db, STORE_NOTICE_JOB, job.job.id, 0);
	if (r == 0)
		r = sql_job_load_seq(db, call, seq, &job);
	*out = job.job;
	return r;
}

int sql_job_cancel_orphans(struct db *db, struct store_call *call)
{
	struct store_job *jobs = arena_alloc(&call->arena,
					     STORE_LIST_MAX * sizeof(*jobs));
	int64_t *seqs = arena_alloc(&call->arena,
				    STORE_LIST_MAX * sizeof(*seqs));
	struct db_row *row;
	size_t n = 0, done = 0;
	int r;

	if (call->arena.failed)
		return -ENOMEM;
	r = db_query(db,
		     "SELECT j.seq FROM jobs j WHERE j.bound = 1 "
		     "AND j.state < 3 AND NOT EXISTS (SELECT 1 "
		     "FROM executions e WHERE e.id = j.parent "
		     "AND e.lease_until_ms IS NOT NULL) LIMIT ?1",
		     DB_ARGS(db_int(STORE_LIST_MAX)), &row);
	for (; r == 0; r = db_next(db, row))
		seqs[n++] = db_column_int64(row, 0);
	r = MIN(r, 0);
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = orphan_cancel(db, call, seqs[i], &jobs[done]);
		done += r == 0;
		if (r == STORE_E_NOT_FOUND) /* it has ended meanwhile */
			r = 0;
	}
	call->result.jobs.items = jobs;
	call->result.jobs.n = done;
	return r;
}
