/* New jobs: what has to hold for one, and how it is stored. */
#include <errno.h>
#include <string.h>

#include "backend/store_job.h"
#include "backend/store_sql_job.h"
#include "backend/store_sql_placement.h"
#include "backend/store_sql_session.h"
#include "common/clock.h"

/* What sixteen backends may have under way, a whole batch each. */
#define SUBMIT_UNSEEN_MAX (16 * SQL_BATCH_MAX_CALLS)

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
	struct sql_job job;
	bool same = true;
	int r;

	if (!new->idempotency_key)
		return STORE_E_NOT_FOUND;
	r = sql_job_load_key(db, call, new->idempotency_key, &job);
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

/* 0 where fewer jobs wait, 1 where as many do, or negative errno. */
static int submit_is_long(struct db *db, int64_t queue)
{
	struct db_row *row;
	int r = db_query(db,
			 "SELECT 1 FROM job_counts WHERE state = 0 "
			 "AND n >= ?1",
			 DB_ARGS(db_int(queue)), &row);

	return r == STORE_E_NOT_FOUND ? 0 : r < 0 ? r : 1;
}

/* Others may be about to commit jobs that are not seen yet: near the limit one
 * transaction at a time counts them, up to its end. Nobody waits before. */
static int submit_check_room(struct db *db, struct store_call *call,
			     int64_t max_queued)
{
	static const struct db_sql alone = {
		{ [DB_POSTGRES] = "SELECT pg_advisory_xact_lock(hashtext("
				  "'cronium queue'), "
				  "hashtext(current_schema()))" }
	};
	int r;

	if (!max_queued)
		return 0;
	if (max_queued > SUBMIT_UNSEEN_MAX) {
		r = submit_is_long(db, max_queued - SUBMIT_UNSEEN_MAX);
		if (r <= 0)
			return r;
	}
	r = db_lock(db, &alone, DB_NO_ARGS);
	if (r == 0)
		r = submit_is_long(db, max_queued);
	if (r <= 0)
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

/* Its turn is 1 more than the last one's in its line, or than that which was
 * served last: store_sql_claim.c. */
#define SUBMIT_SQL(served)                                                       \
	"INSERT INTO jobs (id, idempotency_key, name, runtime, "                 \
	"executor, state, created_ms, script_bytes, input_bytes, "               \
	"labels, want_agent, parent, input_from, trace_id, "                     \
	"input_stream, bound, signature, host, retries, "                        \
	"backoff_initial_ms, backoff_max_ms, backoff_elapsed_ms, "               \
	"session, held, no_wait, placement, turn) "                              \
	"VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7, ?8, ?9, ?10, ?11, "              \
	"?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, "           \
	"?24, ?25, (SELECT 1 + max(t) FROM (SELECT coalesce((SELECT turn "       \
	"FROM jobs WHERE state = 0 AND coalesce(session, 0) = "                  \
	"coalesce(CAST(?22 AS BIGINT), 0) ORDER BY turn DESC LIMIT 1), 0) AS t " \
	"UNION ALL " served ") AS turns)) RETURNING seq"

/* Where a new job belongs. */
struct submit_place {
	struct sql_membership session;
	int64_t placement;
};

static int submit_insert(struct db *db, const struct store_job_new *new,
			 const struct submit_place *place, int64_t *seq)
{
	static const struct db_sql sql = { {
		[DB_SQLITE] = SUBMIT_SQL("SELECT n FROM counters WHERE "
					 "name = 'served_turn'"),
		[DB_POSTGRES] = SUBMIT_SQL("SELECT last_value "
					   "FROM served_turn"),
	} };
	const struct sql_membership *session = &place->session;
	int r = db_query_int(
		db, db_text(db, &sql),
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
			db_int(new->retry.elapsed_ms),
			session->seq ? db_int(session->seq) : db_null(),
			db_int(session->held), db_int(new->no_wait),
			db_int(place->placement)),
		seq);

	if (r == 0 && new->spec.data)
		r = sql_payload_save(db, *seq, SQL_PAYLOAD_SPEC, &new->spec);
	if (r == 0 && new->script.data)
		r = sql_payload_save(db, *seq, STORE_SCRIPT, &new->script);
	if (r == 0 && new->input.data)
		r = sql_payload_save(db, *seq, STORE_INPUT, &new->input);
	return r ? r
		 : db_notify(db, STORE_NOTICE_JOB, new->id,
			     STORE_NOTICE_JOB_QUEUED);
}

int sql_job_submit(struct db *db, struct store_call *call)
{
	const struct store_job_new *new = call->request;
	struct submit_place place;
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
	if (r == 0)
		r = sql_session_join(db, call, new, &place.session);
	if (r == 0)
		r = sql_placement_take(db, call, new, &place.placement);
	if (r)
		return r;
	r = submit_insert(db, new, &place, &seq);
	if (r == 0)
		r = sql_job_load_seq(db, call, seq, &job);
	if (r == 0)
		call->result.job = job.job;
	return r;
}
