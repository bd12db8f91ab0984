/*
 * What is no longer needed of the streams of jobs that have ended: the records
 * of their input, and Idempotency-Keys. A piece at a time, so that no
 * transaction is huge.
 */
#include <errno.h>

#include "backend/store_sql.h"
#include "backend/store_stream.h"

/* Removes the first chunks; STORE_E_NOT_FOUND when none was left. */
static int sweep_chunks(struct db *db, int64_t job, int kind)
{
	int64_t bytes = 0, last = -1;
	struct db_row *row;
	int r = db_query(db,
			 "SELECT first, length(data) FROM stream_chunks "
			 "WHERE job = ?1 AND kind = ?2 ORDER BY first "
			 "LIMIT ?3",
			 DB_ARGS(db_int(job), db_int(kind),
				 db_int(STORE_STREAM_SWEEP_ROWS)),
			 &row);

	for (; r == 0 && bytes < STORE_STREAM_SWEEP_BYTES;
	     r = db_next(db, row)) {
		last = db_column_int64(row, 0);
		bytes += db_column_int64(row, 1);
	}
	if (r < 0 || last < 0)
		return r;
	return db_exec(db,
		       "DELETE FROM stream_chunks WHERE job = ?1 AND "
		       "kind = ?2 AND first <= ?3",
		       DB_ARGS(db_int(job), db_int(kind), db_int(last)));
}

/* As sweep_chunks(), of the keys. */
static int sweep_keys(struct db *db, int64_t job, int kind)
{
	int r = db_exec(db,
			"DELETE FROM stream_keys WHERE job = ?1 AND kind = ?2 "
			"AND key IN (SELECT key FROM stream_keys WHERE "
			"job = ?1 AND kind = ?2 LIMIT ?3)",
			DB_ARGS(db_int(job), db_int(kind),
				db_int(STORE_STREAM_SWEEP_ROWS)));

	int64_t n = r < 0 ? r : db_changes(db);

	return n ? (int)MIN(n, 0) : STORE_E_NOT_FOUND;
}

int sql_stream_sweep(struct db *db, struct store_call *call)
{
	int64_t job;
	struct db_row *row;
	int kind;
	int r = db_query(db,
			 "SELECT s.job, s.kind FROM streams s JOIN jobs j ON "
			 "j.seq = s.job WHERE s.swept = 0 AND j.state >= ?1 "
			 "LIMIT 1",
			 DB_ARGS(db_int(JOB_SUCCEEDED)), &row);

	if (r)
		return MIN(r, 0);
	job = db_column_int64(row, 0);
	kind = db_column_int(row, 1);
	call->result.more = true;
	r = STORE_E_NOT_FOUND;
	if (kind == STORE_STREAM_INPUT)
		r = sweep_chunks(db, job, kind);
	if (r == STORE_E_NOT_FOUND)
		r = sweep_keys(db, job, kind);
	if (r != STORE_E_NOT_FOUND)
		return r;
	return db_exec(db,
		       "UPDATE streams SET swept = 1 WHERE job = ?1 AND "
		       "kind = ?2",
		       DB_ARGS(db_int(job), db_int(kind)));
}
