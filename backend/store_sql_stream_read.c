/* What a stream holds, and how it stands. */
#include <errno.h>

#include "backend/store_sql_job.h"
#include "backend/store_sql_stream.h"
#include "backend/store_stream.h"

#define STREAM_READ_MAX_ROWS 4096

/* ------------------------------------------------------------------- read */

/* Bytes of the whole lines that fit into room; of the first one anyway where
 * must is set. *n: how many. */
static size_t lines_fit(const char *data, size_t len, size_t room, bool must,
			int64_t *n)
{
	const char *end = memrchr(data, '\n', MIN(room, len));
	size_t fit = end ? (size_t)(end - data) + 1 : 0;

	if (!fit && must)
		return sql_stream_skip(data, len, 1, n);
	return sql_stream_skip(data, fit, INT64_MAX, n);
}

struct stream_cursor {
	struct arena *arena;
	char *data; /* NULL before the first row */
	size_t len, room;
	int64_t from, n; /* the first record that is wanted; how many taken */
	int64_t at;      /* bytes of the stream before the next record */
	bool full;
};

/* What is left of the stream, no more than is asked for, whole records. */
static int stream_cursor_begin(struct stream_cursor *c, const char *line,
			       size_t len, int64_t left)
{
	int64_t seen;
	size_t first = sql_stream_skip(line, len, 1, &seen);

	c->room = MAX((size_t)MIN((int64_t)c->room, left), first);
	c->data = arena_alloc(c->arena, c->room);
	return c->data ? 0 : -ENOMEM;
}

static int stream_take_row(struct stream_cursor *c, struct db_row *row,
			   int64_t bytes)
{
	int64_t first = db_column_int64(row, 0), seen = 0;
	const char *data = db_column_data(row, 2);
	size_t len = db_column_len(row, 2), skip, fit;
	int64_t n = 0;

	if (!data)
		return -ENOMEM;
	skip = sql_stream_skip(data, len, MAX(c->from - first, 0), &seen);
	if (!c->data) {
		c->at = db_column_int64(row, 1) + (int64_t)skip;
		if (stream_cursor_begin(c, data + skip, len - skip,
					bytes - c->at))
			return -ENOMEM;
	}
	fit = lines_fit(data + skip, len - skip, c->room - c->len, !c->len, &n);
	memcpy(c->data + c->len, data + skip, fit);
	c->full = skip + fit < len;
	c->len += fit;
	c->at += (int64_t)fit;
	c->n += n;
	return 0;
}

static int stream_read_rows(struct db *db, struct store_call *call,
			    const struct sql_stream *s)
{
	const struct store_stream_query *q = call->request;
	struct stream_cursor c = {
		.arena = &call->arena,
		.room = MIN(MAX(q->max_bytes, 1),
			    (size_t)STORE_STREAM_READ_MAX_BYTES),
		.from = q->from,
	};
	struct db_row *row;
	int r = db_query(db, SQL_STREAM_CHUNKS " ORDER BY c.first LIMIT ?5",
			 DB_ARGS(db_int(s->job), db_int(s->kind),
				 db_int(q->from), db_int((int64_t)c.room),
				 db_int(STREAM_READ_MAX_ROWS)),
			 &row);

	for (; r == 0 && !c.full; r = db_next(db, row)) {
		r = stream_take_row(&c, row, s->bytes);
		if (r < 0)
			break;
	}
	if (r < 0)
		return r;
	call->result.stream.data = (struct store_blob){ c.data, c.len };
	call->result.stream.n = c.n;
	call->result.stream.next = q->from + c.n;
	call->result.stream.at = c.at;
	return c.n ? 0
		   : store_call_fail(call, -EIO,
				     "%s: record %lld of %s is missing",
				     db->name, (long long)q->from, s->id);
}

int sql_stream_read(struct db *db, struct store_call *call)
{
	const struct store_stream_query *q = call->request;
	struct sql_stream s;
	int r = sql_stream_load(db, call, q->job, q->kind, &s);

	if (r)
		return r;
	if (q->kind == STORE_STREAM_INPUT && job_state_ended(s.job_state))
		return store_call_fail(call, STORE_E_ENDED,
				       "job %s has ended, and its input with "
				       "it",
				       q->job);
	r = sql_stream_load_source(db, call, &s);
	if (r)
		return r;
	call->result.stream.job = s.id;
	call->result.stream.kind = s.kind;
	call->result.stream.records = s.records;
	call->result.stream.bytes = s.bytes;
	call->result.stream.state = sql_stream_state(&s);
	call->result.stream.reason = s.reason;
	call->result.stream.next = q->from;
	call->result.stream.at = s.bytes;
	if (q->from > s.records)
		return store_call_fail(call, STORE_E_STREAM_GAP,
				       "there are %lld records, none at %lld",
				       (long long)s.records,
				       (long long)q->from);
	return q->from < s.records ? stream_read_rows(db, call, &s) : 0;
}

/* ---------------------------------------------------------------- standing */

static int stream_describe(struct db *db, struct store_call *call,
			   const char *job, enum store_stream_kind kind,
			   struct store_stream_info *out)
{
	struct sql_stream s;
	int r = sql_stream_load(db, call, job, kind, &s);

	if (r == 0 && kind == STORE_STREAM_INPUT)
		out->from = s.input_from;
	if (r == 0)
		r = sql_stream_load_source(db, call, &s);
	out->state = sql_stream_state(&s);
	out->records = s.records;
	out->bytes = s.bytes;
	return r;
}

int sql_stream_get(struct db *db, struct store_call *call)
{
	const struct store_request_id *request = call->request;
	int r = stream_describe(db, call, request->id, STORE_STREAM_INPUT,
				&call->result.streams.input);

	if (r == 0)
		r = stream_describe(db, call, request->id, STORE_STREAM_OUTPUT,
				    &call->result.streams.output);
	return r;
}
