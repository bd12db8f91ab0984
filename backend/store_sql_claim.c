/*
 * Claims. Jobs wait in lines, one for each session and one for those of none,
 * which are served in turns (start-time fair queueing): a job's place is its
 * turn, one more than that of the last in its line, but not before the turn
 * that was served last. So what waits in a long line holds up nobody else's by
 * more than one job, and a line that was empty earns nothing by it.
 */
#include <errno.h>

#include "backend/store_job.h"
#include "backend/store_queue.h"
#include "backend/store_sql_job.h"
#include "backend/store_sql_placement.h"

/* ----------------------------------------------------------------- finding */

static struct sql_placement *claim_best(struct sql_placement *p, size_t n)
{
	struct sql_placement *best = NULL;

	for (size_t i = 0; i < n; i++)
		if (p[i].id &&
		    (!best || p[i].turn < best->turn ||
		     (p[i].turn == best->turn && p[i].seq < best->seq)))
			best = &p[i];
	return best;
}

/* Makes the first job of a placement this transaction's. Another backend may
 * just be claiming what was seen: then the next one. 0, STORE_E_NOT_FOUND, or
 * negative errno. */
static int claim_lock(struct db *db, struct sql_placement *p)
{
	static const struct db_sql sql = { {
		[DB_SQLITE] = NULL, /* nobody else writes */
		[DB_POSTGRES] = "SELECT j.seq, j.turn FROM jobs j "
				"WHERE j.placement = ?1 AND " SQL_CLAIMABLE(
					j) " ORDER BY j.turn, j.seq LIMIT 1 "
					   "FOR NO KEY UPDATE SKIP LOCKED",
	} };
	const char *text = db_text(db, &sql);
	struct db_row *row;
	int r;

	if (!text)
		return 0;
	r = db_query(db, text, DB_ARGS(db_int(p->id)), &row);
	if (r == 0) {
		p->seq = db_column_int64(row, 0);
		p->turn = db_column_int64(row, 1);
	}
	return r;
}

/* 0, STORE_E_NOT_FOUND, or negative errno. */
static int claim_find(struct db *db, struct store_call *call,
		      const struct store_claim *claim,
		      struct sql_placement *found)
{
	struct sql_placement *placements, *best;
	size_t n;
	int r = sql_placement_list(db, call, claim, &placements, &n);

	while (r == 0 && (best = claim_best(placements, n))) {
		r = claim_lock(db, best);
		if (r == 0) {
			*found = *best;
			return 0;
		}
		if (r == STORE_E_NOT_FOUND)
			best->id = r = 0;
	}
	return r ? r : STORE_E_NOT_FOUND;
}

/* ------------------------------------------------------------------ taking */

int sql_claim_served(struct db *db, int64_t *turn)
{
	static const struct db_sql sql = { {
		[DB_SQLITE] = "SELECT n FROM counters WHERE "
			      "name = 'served_turn'",
		[DB_POSTGRES] = "SELECT last_value FROM served_turn",
	} };

	return db_query_int(db, db_text(db, &sql), DB_NO_ARGS, turn);
}

/* Not for others to wait for where several backends claim. */
static int claim_serve(struct db *db, int64_t turn)
{
	static const struct db_sql sql = { {
		[DB_SQLITE] = "UPDATE counters SET n = ?1 WHERE "
			      "name = 'served_turn' AND n < ?1 RETURNING n",
		[DB_POSTGRES] =
			"SELECT setval('served_turn', CAST(?1 AS BIGINT)) "
			"FROM served_turn WHERE last_value < ?1",
	} };
	struct db_row *row;
	int r = db_query(db, db_text(db, &sql), DB_ARGS(db_int(turn)), &row);

	return MIN(r, 0);
}

static int claim_insert(struct db *db, const struct store_claim *claim,
			const struct sql_job *job)
{
	int64_t now_ms = db_now_ms(db);
	int r = db_exec(
		db,
		"INSERT INTO executions (id, job, epoch, attempt, state, "
		"agent, claimed_ms, lease_until_ms, log_bytes, log_dropped, "
		"user_us, system_us, max_rss_kb) "
		"VALUES (?1, ?2, ?3, 1 + (SELECT count(*) FROM executions "
		"WHERE job = ?2 AND state <> 0), ?4, ?5, ?6, ?7, ?8, ?9, "
		"-1, -1, -1)",
		DB_ARGS(db_str(claim->execution), db_int(job->seq),
			db_int(job->job.epoch + 1), db_int(JOB_CLAIMED),
			db_str(claim->agent), db_int(now_ms),
			db_int(now_ms + claim->lease_ms),
			db_int(job->job.log_bytes),
			db_int(job->job.log_dropped_bytes)));

	if (r < 0)
		return r;
	r = db_exec(db,
		    "UPDATE jobs SET state = ?2, epoch = ?3, reason = NULL "
		    "WHERE seq = ?1",
		    DB_ARGS(db_int(job->seq), db_int(JOB_CLAIMED),
			    db_int(job->job.epoch + 1)));
	return r ? r
		 : db_notify(db, STORE_NOTICE_JOB, job->job.id,
			     STORE_NOTICE_JOB_CLAIMED);
}

static int claim_load(struct db *db, struct store_call *call, int64_t seq)
{
	struct sql_job job;
	int r = sql_job_load_seq(db, call, seq, &job);

	if (r)
		return r;
	call->result.job = job.job;
	r = sql_payload_load(db, call, seq, STORE_SCRIPT,
			     &call->result.claim.script);
	if (r >= 0)
		r = sql_payload_load(db, call, seq, STORE_INPUT,
				     &call->result.claim.input);
	if (r >= 0 && job.job.host)
		r = sql_host_load(db, call, job.job.host,
				  &call->result.claim.host);
	return MIN(r, 0);
}

int sql_queue_claim(struct db *db, struct store_call *call)
{
	const struct store_claim *claim = call->request;
	struct sql_job job;
	struct sql_placement found;
	int r = claim_find(db, call, claim, &found);

	if (r == STORE_E_NOT_FOUND)
		return store_call_fail(call, r, "no job is waiting for %s",
				       claim->executors);
	if (r == 0)
		r = sql_job_load_seq(db, call, found.seq, &job);
	if (r == 0)
		r = claim_insert(db, claim, &job);
	if (r == 0)
		r = claim_serve(db, found.turn);
	if (r == 0)
		r = claim_load(db, call, found.seq);
	return r;
}
