/*
 * Sessions. A change of one changes all of its jobs in a single statement; how
 * many of them can still change is bounded by the length of the queue.
 */
#include "backend/store_sql_session.h"

#include <errno.h>

#include "backend/store_session.h"
#include "backend/store_sql_job.h"
#include "common/clock.h"

/* "state < 3" is what the index of jobs that are not over is made with. */
#define SESSION_OPEN_JOBS "j.session = s.seq AND j.state < 3 AND j.state "
#define SESSION_COLUMNS                                                 \
	"s.id, s.name, s.state, s.reason, s.created_ms, s.ended_ms, "   \
	"s.jobs, (SELECT count(*) FROM jobs j WHERE " SESSION_OPEN_JOBS \
	"= 0), (SELECT count(*) FROM jobs j WHERE " SESSION_OPEN_JOBS "> 0)"

/* ---------------------------------------------------------------- reading */

/* Reads SESSION_COLUMNS: in their order. */
static void session_read_row(struct db_row *row, struct arena *a,
			     struct store_session *out)
{
	int64_t jobs;

	out->id = db_column_str(row, 0, a);
	out->name = db_column_str(row, 1, a);
	out->state = (enum session_state)db_column_int(row, 2);
	out->reason = db_column_str(row, 3, a);
	out->created_ms = db_column_int64(row, 4);
	out->ended_ms = db_column_int64(row, 5);
	jobs = db_column_int64(row, 6);
	out->queued = db_column_int64(row, 7);
	out->running = db_column_int64(row, 8);
	out->ended = jobs - out->queued - out->running;
}

static int session_load(struct db *db, struct store_call *call, int64_t seq)
{
	struct db_row *row;
	int r = db_query(db,
			 "SELECT " SESSION_COLUMNS " FROM sessions s "
			 "WHERE s.seq = ?1",
			 DB_ARGS(db_int(seq)), &row);

	if (r == 0)
		session_read_row(row, &call->arena, &call->result.session);
	return r > 0 ? -EIO : r;
}

static int session_find_by(struct db *db, const char *sql, const char *ref,
			   int64_t *seq)
{
	struct db_row *row;
	int r = db_query(db, sql, DB_ARGS(db_str(ref)), &row);

	*seq = r == 0 ? db_column_int64(row, 0) : 0;
	return r;
}

/* Of several of a name the one that has not ended, else the newest. */
static int session_find(struct db *db, const char *ref, int64_t *seq)
{
	int r = session_find_by(db, "SELECT seq FROM sessions WHERE id = ?1",
				ref, seq);

	if (r == STORE_E_NOT_FOUND)
		r = session_find_by(db,
				    "SELECT seq FROM sessions "
				    "WHERE name = ?1 AND state < 2",
				    ref, seq);
	if (r == STORE_E_NOT_FOUND)
		r = session_find_by(db,
				    "SELECT seq FROM sessions WHERE name = ?1 "
				    "ORDER BY seq DESC LIMIT 1",
				    ref, seq);
	return r;
}

int sql_session_find(struct db *db, struct store_call *call, const char *ref,
		     int64_t *seq)
{
	int r = session_find(db, ref, seq);

	if (r == STORE_E_NOT_FOUND)
		return store_call_fail(call, r,
				       "there is no session %s "
				       "('cronium session list' shows them)",
				       ref);
	return r;
}

int sql_session_get(struct db *db, struct store_call *call)
{
	const struct store_request_id *request = call->request;
	int64_t seq;
	int r = sql_session_find(db, call, request->id, &seq);

	return r ? r : session_load(db, call, seq);
}

static int list_start(struct db *db, struct store_call *call, const char *id,
		      int64_t *seq)
{
	*seq = INT64_MAX;
	return id ? sql_session_find(db, call, id, seq) : 0;
}

int sql_session_list(struct db *db, struct store_call *call)
{
	const struct store_session_query *q = call->request;
	size_t limit = MIN(MAX(q->limit, 1), STORE_LIST_MAX), n = 0;
	struct store_session *sessions =
		arena_zalloc(&call->arena, limit * sizeof(*sessions));
	struct db_row *row;
	int64_t before;
	int r = list_start(db, call, q->before, &before);

	if (r || !sessions)
		return r ? r : -ENOMEM;
	r = db_query(db,
		     "SELECT " SESSION_COLUMNS " FROM sessions s "
		     "WHERE s.seq < ?1 AND (?2 < 0 OR s.state = ?2) "
		     "ORDER BY s.seq DESC LIMIT ?3",
		     DB_ARGS(db_int(before), db_int(q->state),
			     db_int((int64_t)limit + 1)),
		     &row);
	for (; r == 0 && n < limit; r = db_next(db, row))
		session_read_row(row, &call->arena, &sessions[n++]);
	call->result.sessions.items = sessions;
	call->result.sessions.n = n;
	call->result.sessions.more = r == 0;
	return MIN(r, 0);
}

/* -------------------------------------------------------------------- new */

static int new_check(struct db *db, struct store_call *call, const char *name)
{
	int64_t open, seq;
	int r = session_find_by(db,
				"SELECT seq FROM sessions "
				"WHERE name = ?1 AND state < 2",
				name, &seq);

	if (r == 0)
		return store_call_fail(call, STORE_E_EXISTS,
				       "there is a session %s already; end it, "
				       "or choose another name",
				       name);
	if (r == STORE_E_NOT_FOUND)
		r = db_query_int(db,
				 "SELECT count(*) FROM sessions "
				 "WHERE state < 2",
				 DB_NO_ARGS, &open);
	if (r == 0 && open >= STORE_SESSIONS_MAX)
		return store_call_fail(call, STORE_E_LIMIT,
				       "there are %d sessions already, which "
				       "is the limit; end some",
				       STORE_SESSIONS_MAX);
	return r;
}

int sql_session_new(struct db *db, struct store_call *call)
{
	const struct store_session_new *new = call->request;
	int64_t seq;
	int r = new_check(db, call, new->name);

	if (r == 0)
		r = db_query_int(db,
				 "INSERT INTO sessions (id, name, created_ms) "
				 "VALUES (?1, ?2, ?3) RETURNING seq",
				 DB_ARGS(db_str(new->id), db_str(new->name),
					 db_int(clock_wall_ms())),
				 &seq);
	if (r == 0)
		r = db_notify(db, STORE_NOTICE_SESSION, new->id,
			      STORE_NOTICE_SESSION_MADE);
	return r ? r : session_load(db, call, seq);
}

/* -------------------------------------------------------------------- set */

int sql_session_state(struct db *db, int64_t seq, enum session_state *out)
{
	int64_t state = SESSION_ACTIVE;
	/* Writes, so that the row is this transaction's. */
	int r = db_query_int(db,
			     "UPDATE sessions SET state = state "
			     "WHERE seq = ?1 RETURNING state",
			     DB_ARGS(db_int(seq)), &state);

	*out = (enum session_state)state;
	return r;
}

static int session_hold(struct db *db, int64_t seq)
{
	return db_exec(db,
		       "UPDATE jobs SET held = 1 WHERE session = ?1 "
		       "AND state < 3 AND state = 0 AND held = 0",
		       DB_ARGS(db_int(seq)));
}

/* They are not served before those that have waited for their turn in the
 * meantime: store_sql_claim.c. */
static int session_let_go(struct db *db, int64_t seq)
{
	int64_t first, served;
	int r = db_query_int(db,
			     "SELECT coalesce(min(turn), 0) FROM jobs WHERE "
			     "session = ?1 AND state < 3 AND state = 0 AND "
			     "held = 1",
			     DB_ARGS(db_int(seq)), &first);

	if (r == 0)
		r = sql_claim_served(db, &served);
	if (r < 0)
		return r;
	return db_exec(db,
		       "UPDATE jobs SET held = 0, turn = turn + ?2 "
		       "WHERE session = ?1 AND state < 3 AND state = 0 "
		       "AND held = 1",
		       DB_ARGS(db_int(seq),
			       db_int(MAX(served + 1 - first, 0))));
}

static int session_cancel(struct db *db, int64_t seq, const char *reason,
			  int64_t now_ms)
{
	int r = db_exec(db,
			"UPDATE jobs SET state = ?2, cancel_requested = 1, "
			"cancel_reason = ?3, reason = ?3, ended_ms = ?4, "
			"held = 0, not_before_ms = 0 WHERE session = ?1 "
			"AND state < 3 AND state = 0",
			DB_ARGS(db_int(seq), db_int(JOB_CANCELLED),
				db_str(reason), db_int(now_ms)));

	if (r < 0)
		return r;
	return db_exec(db,
		       "UPDATE jobs SET cancel_requested = 1, "
		       "cancel_reason = ?2 WHERE session = ?1 "
		       "AND state < 3 AND state > 0 AND cancel_requested = 0",
		       DB_ARGS(db_int(seq), db_str(reason)));
}

static int session_move(struct db *db, struct store_call *call, int64_t seq)
{
	const struct store_session_set *set = call->request;
	bool ends = set->state == SESSION_ENDED;
	char reason[SESSION_END_REASON_BYTES];
	int64_t now_ms = clock_wall_ms();
	int r = db_exec(db,
			"UPDATE sessions SET state = ?2, reason = ?3, "
			"ended_ms = ?4 WHERE seq = ?1",
			DB_ARGS(db_int(seq), db_int(set->state),
				db_str(set->reason),
				db_int(ends ? now_ms : 0)));

	if (r < 0)
		return r;
	session_end_reason(call->result.session.name, set->reason, reason);
	r = ends ? session_cancel(db, seq, reason, now_ms)
	    : set->state == SESSION_PAUSED ? session_hold(db, seq)
					   : session_let_go(db, seq);
	return r ? r
		 : db_notify(db, STORE_NOTICE_SESSION, call->result.session.id,
			     0);
}

int sql_session_set(struct db *db, struct store_call *call)
{
	const struct store_session_set *set = call->request;
	enum session_state state;
	int64_t seq;
	int r = sql_session_find(db, call, set->session, &seq);

	if (r == 0)
		r = sql_session_state(db, seq, &state);
	if (r == 0)
		r = session_load(db, call, seq);
	if (r)
		return r;
	call->result.repeated = state == set->state;
	if (call->result.repeated)
		return 0;
	if (state == SESSION_ENDED)
		return store_call_fail(call, STORE_E_SESSION_ENDED,
				       "the session %s has ended",
				       call->result.session.name);
	r = session_move(db, call, seq);
	return r ? r : session_load(db, call, seq);
}

/* -------------------------------------------------------------------- jobs */

static int join_find(struct db *db, struct store_call *call,
		     const struct store_job_new *new, int64_t *seq)
{
	int r = 0;

	if (new->session) {
		r = session_find(db, new->session, seq);
		if (r == STORE_E_NOT_FOUND)
			return store_call_fail(call, STORE_E_SESSION,
					       "session: there is no session "
					       "%s ('cronium session new' "
					       "makes one)",
					       new->session);
	} else if (new->parent) {
		r = db_query_int(db,
				 "SELECT coalesce(j.session, 0) "
				 "FROM executions e JOIN jobs j "
				 "ON j.seq = e.job WHERE e.id = ?1",
				 DB_ARGS(db_str(new->parent)), seq);
	}
	return r;
}

int sql_session_join(struct db *db, struct store_call *call,
		     const struct store_job_new *new,
		     struct sql_membership *out)
{
	int64_t state = SESSION_ACTIVE;
	int r;

	*out = (struct sql_membership){ 0 };
	r = join_find(db, call, new, &out->seq);
	if (r == 0 && out->seq)
		r = db_query_int(db,
				 "UPDATE sessions SET jobs = jobs + 1 "
				 "WHERE seq = ?1 RETURNING state",
				 DB_ARGS(db_int(out->seq)), &state);
	if (r)
		return r;
	out->held = state == SESSION_PAUSED;
	if (state == SESSION_ENDED)
		return store_call_fail(call, STORE_E_SESSION_ENDED,
				       "its session has ended: it takes no "
				       "more jobs");
	return 0;
}
