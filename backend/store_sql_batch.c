/*
 * Transactions: group commit in the writer's thread, a snapshot for each call
 * in the reader's. A transaction that failed has changed nothing. What is done
 * then:
 *
 *   -ECONNRESET    the connection is gone: all of it once more
 *   -EBUSY, -EHOSTDOWN, -EINPROGRESS
 *                  the same for every call: all fail
 *   else           each call gets a transaction, and a verdict, of its own;
 *     -EAGAIN      another backend was in the way: that call once more
 */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "backend/store_sql_impl.h"
#include "common/fail_point.h"

#define SQL_LOST_MAX 5      /* connections that break in a row */
#define SQL_RACES_MAX 100   /* lost by one call, with waits in between */
#define SQL_RACE_WAIT_MS 20 /* the longest of them */

/* ------------------------------------------------------------- operations */

/* Gives a failed call its sentence: its own, or the database's. */
static int call_failed(struct db *db, struct store_call *call, int r)
{
	if (call->result.message)
		return r;
	if (*db->message)
		return store_call_fail(call, r, "%s", db->message);
	return store_call_fail(call, r, "%s: %s", db->name, strerror(-r));
}

static int call_run(struct db *db, struct store_call *call)
{
	int r;

	call->result = (struct store_result){ 0 };
	*db->message = '\0';
	r = sql_ops[call->op](db, call);
	db_reset(db);
	if (call->arena.failed)
		r = -ENOMEM;
	return r < 0 ? call_failed(db, call, r) : r;
}

/* Whichever connection noticed: from here on nothing is written. Reading goes
 * on, as far as it can, so that what is there can be saved. */
static void sql_note_failure(struct sql_store *s, const struct db *db)
{
	if (db->failed)
		atomic_store(&s->base.failed, db->failed);
}

void sql_note_server(struct sql_store *s, const struct db *db)
{
	atomic_store(&s->base.clock_offset_ms, db->clock_offset_ms);
	store_set_place(&s->base, &db->place);
}

/* ----------------------------------------------------------------- writer */

static int call_note_audit(struct db *db, struct store_call *call, int r)
{
	const struct store_audit *audit = store_call_audit(call);

	if (!audit || (r == 0 && call->result.repeated))
		return 0;
	return sql_audit_note(db, audit, r);
}

/* Runs a call in its savepoint. Negative only when the whole transaction is
 * lost; else the verdict is in call->r. */
static int writer_run(struct db *db, struct store_call *call)
{
	int r = db_savepoint(db);

	if (r < 0)
		return r;
	call->r = call_run(db, call);
	if (!db_in_transaction(db))
		return call->r < 0 ? call->r : -EIO;
	r = 0;
	if (call->r)
		r = db_savepoint_undo(db);
	if (r == 0 && call->r >= 0)
		r = call_note_audit(db, call, call->r);
	if (r == 0)
		r = db_savepoint_release(db);
	db_reset(db);
	return r;
}

static void writer_fail_all(struct db *db, struct store_calls *calls, int r)
{
	struct store_call *call;

	STAILQ_FOREACH(call, calls, queued) {
		call->result = (struct store_result){ 0 };
		call->r = call_failed(db, call, r);
	}
}

static int writer_transact_once(struct sql_store *s, struct store_calls *calls)
{
	struct db *db = &s->writer.db;
	struct store_call *call;
	int r = db_begin(db, DB_WRITE);

	STAILQ_FOREACH(call, calls, queued) {
		if (r < 0)
			break;
		r = writer_run(db, call);
	}
	FAIL_POINT("store.commit.before");
	if (r == 0)
		r = db_commit(db);
	FAIL_POINT("store.commit.after");
	db_rollback(db); /* what was not committed */
	sql_note_failure(s, db);
	sql_note_server(s, db);
	return r;
}

/* One transaction for all calls; all of them failed when it is negative. */
static int writer_transact(struct sql_store *s, struct store_calls *calls)
{
	struct db *db = &s->writer.db;
	int r = -ECONNRESET;

	*db->message = '\0';
	if (atomic_load(&s->base.failed)) {
		snprintf(db->message, sizeof(db->message), "%s: %s", db->name,
			 atomic_load(&s->base.failed));
		return -EIO;
	}
	for (int i = 0; r == -ECONNRESET && i < SQL_LOST_MAX; i++)
		r = writer_transact_once(s, calls);
	if (r == 0)
		atomic_fetch_add(&s->base.commits_total, 1);
	return r;
}

/* So that two who are in each other's way do not go on in step. */
static void writer_wait(int round)
{
	struct timespec t = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec = t.tv_nsec / 1000 % MIN(round + 1, SQL_RACE_WAIT_MS) *
		    1000000;
	t.tv_sec = 0;
	nanosleep(&t, NULL);
}

static void writer_run_single(struct sql_store *s, struct store_call *call)
{
	struct store_calls one = STAILQ_HEAD_INITIALIZER(one);
	int r;

	STAILQ_INSERT_TAIL(&one, call, queued);
	r = writer_transact(s, &one);
	for (int i = 0; r == -EAGAIN && i < SQL_RACES_MAX; i++) {
		writer_wait(i);
		r = writer_transact(s, &one);
	}
	if (r < 0)
		writer_fail_all(&s->writer.db, &one, r);
	store_call_finish(&s->base, &one);
}

/* What would be the same for each call alone: where the file is locked, or the
 * server away, each would have to wait for it. */
static bool writer_is_common(int r)
{
	return r == -EBUSY || r == -EHOSTDOWN || r == -ECONNRESET ||
	       r == -EINPROGRESS;
}

void sql_write_batch(struct sql_store *s, struct store_calls *calls)
{
	struct store_call *call;
	int r = writer_transact(s, calls);

	if (writer_is_common(r))
		writer_fail_all(&s->writer.db, calls, r);
	if (r == 0 || writer_is_common(r)) {
		store_call_finish(&s->base, calls);
		return;
	}
	while ((call = STAILQ_FIRST(calls))) {
		STAILQ_REMOVE_HEAD(calls, queued);
		writer_run_single(s, call);
	}
}

/* ----------------------------------------------------------------- reader */

static int reader_transact(struct sql_store *s, struct store_call *call)
{
	struct db *db = &s->reader.db;
	int r;

	if (atomic_load_explicit(&call->cancelled, memory_order_relaxed))
		return -ECANCELED;
	*db->message = '\0';
	r = db_begin(db, DB_READ);
	if (r < 0)
		return call_failed(db, call, r);
	r = call_run(db, call);
	db_rollback(db);
	sql_note_failure(s, db);
	return r;
}

void sql_read_batch(struct sql_store *s, struct store_calls *calls)
{
	struct store_call *call;

	while ((call = STAILQ_FIRST(calls))) {
		struct store_calls one = STAILQ_HEAD_INITIALIZER(one);

		STAILQ_REMOVE_HEAD(calls, queued);
		call->r = -ECONNRESET;
		for (int i = 0; call->r == -ECONNRESET && i < SQL_LOST_MAX; i++)
			call->r = reader_transact(s, call);
		STAILQ_INSERT_TAIL(&one, call, queued);
		store_call_finish(&s->base, &one);
	}
}
