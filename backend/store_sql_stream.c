#include "backend/store_sql_stream.h"

#include "backend/store_sql_job.h"

#define STREAM_COLUMNS                                                \
	"SELECT j.seq, j.id, j.state, j.input_stream, j.input_from, " \
	"j.reason, coalesce(s.records, 0), coalesce(s.bytes, 0), "    \
	"coalesce(s.ended, 0)"
#define STREAM_JOIN " LEFT JOIN streams s ON s.job = j.seq AND s.kind = ?2 "

static void stream_read_row(struct db_row *row, struct arena *a,
			    struct sql_stream *out)
{
	int i = 0;

	out->job = db_column_int64(row, i++);
	out->id = db_column_str(row, i++, a);
	out->job_state = (enum job_state)db_column_int(row, i++);
	out->input_stream = db_column_int(row, i++);
	out->input_from = db_column_str(row, i++, a);
	out->reason = db_column_str(row, i++, a);
	out->records = db_column_int64(row, i++);
	out->bytes = db_column_int64(row, i++);
	out->ended = db_column_int(row, i++);
	if (i < db_column_count(row))
		out->execution_state = (enum job_state)db_column_int(row, i);
}

int sql_stream_load(struct db *db, struct store_call *call, const char *job,
		    enum store_stream_kind kind, struct sql_stream *out)
{
	static const char sql[] = STREAM_COLUMNS " FROM jobs j" STREAM_JOIN
						 "WHERE j.id = ?1";
	struct db_row *row;
	int r = sql_job_lock(db, job);

	if (r == 0)
		r = db_query(db, sql, DB_ARGS(db_str(job), db_int(kind)), &row);
	*out = (struct sql_stream){ .kind = kind };
	if (r == STORE_E_NOT_FOUND)
		return store_call_fail(call, r, "there is no job %s", job);
	if (r == 0)
		stream_read_row(row, &call->arena, out);
	return r;
}

int sql_stream_load_execution(struct db *db, struct store_call *call,
			      const char *execution,
			      enum store_stream_kind kind,
			      struct sql_stream *out)
{
	static const char sql[] = STREAM_COLUMNS
		", e.state FROM executions e JOIN jobs j ON j.seq = "
		"e.job" STREAM_JOIN "WHERE e.id = ?1";
	struct db_row *row;
	int r = sql_job_lock_execution(db, execution);

	if (r == 0)
		r = db_query(db, sql, DB_ARGS(db_str(execution), db_int(kind)),
			     &row);
	*out = (struct sql_stream){ .kind = kind };
	if (r == STORE_E_NOT_FOUND)
		return store_call_fail(call, r, "there is no execution %s",
				       execution);
	if (r < 0)
		return r;
	stream_read_row(row, &call->arena, out);
	if (!job_state_live(out->execution_state))
		return store_call_fail(call, STORE_E_ENDED,
				       "execution %s has ended", execution);
	return 0;
}

int sql_stream_load_source(struct db *db, struct store_call *call,
			   struct sql_stream *s)
{
	if (s->kind != STORE_STREAM_INPUT || !s->input_from)
		return 0;
	return sql_stream_load(db, call, s->input_from, STORE_STREAM_OUTPUT, s);
}

enum store_stream_state sql_stream_state(const struct sql_stream *s)
{
	bool job_ended = job_state_ended(s->job_state);

	if (s->ended)
		return STORE_STREAM_ENDED;
	if (s->kind == STORE_STREAM_INPUT)
		return s->input_stream && !job_ended ? STORE_STREAM_OPEN
						     : STORE_STREAM_ENDED;
	if (!job_ended)
		return STORE_STREAM_OPEN;
	return s->job_state == JOB_SUCCEEDED ? STORE_STREAM_ENDED
					     : STORE_STREAM_BROKEN;
}

size_t sql_stream_skip(const char *data, size_t len, int64_t n, int64_t *seen)
{
	size_t at = 0;

	for (*seen = 0; *seen < n && at < len; ++*seen) {
		const char *end = memchr(data + at, '\n', len - at);

		at = end ? (size_t)(end - data) + 1 : len;
	}
	return at;
}
