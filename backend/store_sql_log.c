/*
 * Logs: rows of bytes of one stream, at their offset in the job's log. Small
 * neighbours of the same stream share a row, big chunks take several.
 */
#include <errno.h>

#include "backend/store_log.h"
#include "backend/store_sql_job.h"
#include "common/buf.h"

#define LOG_ROW_MAX_BYTES ((size_t)256 * 1024)
#define LOG_READ_MAX_ROWS 4096

/* ----------------------------------------------------------------- append */

struct log_target {
	int64_t execution, job, epoch;
	enum job_state state;
	int64_t received, bytes, dropped;
};

static int log_load(struct db *db, struct store_call *call, const char *id,
		    struct log_target *t)
{
	struct db_row *row;
	int r = sql_job_lock_execution(db, id);

	if (r < 0)
		return r;
	r = db_query(db,
		     "SELECT e.seq, e.job, e.epoch, e.state, "
		     "e.log_received, e.log_bytes, e.log_dropped, j.id "
		     "FROM executions e JOIN jobs j ON j.seq = e.job "
		     "WHERE e.id = ?1",
		     DB_ARGS(db_str(id)), &row);

	if (r == STORE_E_NOT_FOUND)
		return store_call_fail(call, r, "there is no execution %s", id);
	if (r < 0)
		return r;
	t->execution = db_column_int64(row, 0);
	t->job = db_column_int64(row, 1);
	t->epoch = db_column_int64(row, 2);
	t->state = (enum job_state)db_column_int(row, 3);
	t->received = db_column_int64(row, 4);
	t->bytes = db_column_int64(row, 5);
	t->dropped = db_column_int64(row, 6);
	call->result.job.id = db_column_str(row, 7, &call->arena);
	call->result.log_append.next = t->received;
	call->result.log_append.full = t->dropped > 0;
	return 0;
}

struct log_writer {
	struct db *db;
	struct log_target *target;
	enum store_stream stream;
	struct buf row;
};

static int log_flush(struct log_writer *w)
{
	struct log_target *t = w->target;
	int r;

	if (!w->row.len)
		return 0;
	r = db_exec(w->db, SQL_LOG_INSERT,
		    DB_ARGS(db_int(t->job), db_int(t->bytes), db_int(w->stream),
			    db_blob(w->row.data, w->row.len)));
	t->bytes += (int64_t)w->row.len;
	buf_clear(&w->row);
	return r;
}

static int log_put(struct log_writer *w, enum store_stream stream,
		   const char *data, size_t len)
{
	int r = 0;

	while (r == 0 && len) {
		size_t n;

		if (w->row.len == LOG_ROW_MAX_BYTES || w->stream != stream)
			r = log_flush(w);
		w->stream = stream;
		n = MIN(len, LOG_ROW_MAX_BYTES - w->row.len);
		if (r == 0 && buf_append(&w->row, data, n) < 0)
			r = -ENOMEM;
		data += n;
		len -= n;
	}
	return r;
}

/* At most room bytes, and no half of a UTF-8 character at the end. */
static size_t log_fit(const char *data, size_t len, int64_t room)
{
	size_t n, start;

	if (room <= 0)
		return 0;
	if ((int64_t)len <= room)
		return len;
	n = (size_t)room;
	start = n;
	while (start && n - start < 3 && (data[start] & 0xc0) == 0x80)
		start--;
	return (data[start] & 0xc0) == 0xc0 ? start : n;
}

/* Stores what fits. What comes after the first dropped byte is dropped too:
 * a log has its end cut off, never holes. */
static int log_put_limited(struct log_writer *w,
			   const struct store_log_append *append,
			   const struct store_log_chunk *chunk,
			   const char *data, size_t len)
{
	struct log_target *t = w->target;
	size_t n = len;
	int r;

	if (append->limit_bytes) {
		int64_t used = t->bytes + (int64_t)w->row.len;

		n = t->dropped ? 0
			       : log_fit(data, len, append->limit_bytes - used);
	}
	r = log_put(w, chunk->stream, data, n);
	if (r < 0 || n == len)
		return r;
	if (!t->dropped && append->limit_notice)
		r = log_put(w, STORE_NOTICE, append->limit_notice,
			    strlen(append->limit_notice));
	t->dropped += (int64_t)(len - n);
	return r;
}

static int log_put_chunks(struct db *db, const struct store_log_append *append,
			  struct log_target *t)
{
	struct log_writer w = { .db = db, .target = t };
	size_t skip = (size_t)(t->received - append->offset);
	int r = 0;

	for (size_t i = 0; r == 0 && i < append->n; i++) {
		const struct store_log_chunk *c = &append->chunks[i];
		size_t seen = MIN(skip, c->data.len), len = c->data.len - seen;

		skip -= seen;
		t->received += (int64_t)len;
		if (len)
			r = log_put_limited(&w, append, c,
					    (const char *)c->data.data + seen,
					    len);
	}
	if (r == 0)
		r = log_flush(&w);
	buf_deinit(&w.row);
	return r;
}

static int64_t log_end(const struct store_log_append *append)
{
	int64_t end = append->offset;

	for (size_t i = 0; i < append->n; i++)
		end += (int64_t)append->chunks[i].data.len;
	return end;
}

static int log_check(struct store_call *call,
		     const struct store_log_append *append,
		     const struct log_target *t)
{
	if (t->epoch != append->lease.epoch || t->state == JOB_QUEUED ||
	    t->state == JOB_LOST)
		return store_call_fail(call, STORE_E_STALE_EPOCH,
				       "epoch %lld of execution %s is over",
				       (long long)append->lease.epoch,
				       append->lease.execution);
	if (append->offset > t->received || append->offset < 0)
		return store_call_fail(
			call, STORE_E_LOG_GAP,
			"the log goes on at offset %lld, not %lld",
			(long long)t->received, (long long)append->offset);
	if (!job_state_live(t->state) && log_end(append) > t->received)
		return store_call_fail(call, STORE_E_ENDED,
				       "execution %s has ended: its log is "
				       "complete",
				       append->lease.execution);
	return 0;
}

int sql_log_append(struct db *db, struct store_call *call)
{
	const struct store_log_append *append = call->request;
	struct log_target t;
	int64_t stored;
	int r = log_load(db, call, append->lease.execution, &t);

	if (r)
		return r;
	r = log_check(call, append, &t);
	if (r || log_end(append) <= t.received)
		return r;
	stored = t.bytes;
	r = log_put_chunks(db, append, &t);
	if (r < 0)
		return r;
	call->result.log_append.next = t.received;
	call->result.log_append.stored = t.bytes > stored;
	call->result.log_append.full = t.dropped > 0;
	r = db_exec(db,
		    "UPDATE executions SET log_received = ?2, "
		    "log_bytes = ?3, log_dropped = ?4 WHERE seq = ?1",
		    DB_ARGS(db_int(t.execution), db_int(t.received),
			    db_int(t.bytes), db_int(t.dropped)));
	return r ? r : db_notify(db, STORE_NOTICE_LOG, call->result.job.id, 0);
}

/* ------------------------------------------------------------------- read */

/* Copies of a row what lies at or behind *offset, at most *room bytes. */
static void log_take_row(struct db_row *row, struct arena *a, int64_t *offset,
			 size_t *room, struct store_log_chunk *out)
{
	int64_t start = db_column_int64(row, 0);
	const char *data = db_column_data(row, 2);
	int64_t len = (int64_t)db_column_len(row, 2);
	int64_t skip = MIN(*offset - start, len);
	size_t n = MIN((size_t)(len - skip), *room);

	out->stream = (enum store_stream)db_column_int(row, 1);
	out->data.data = data ? arena_dup(a, data + skip, n) : NULL;
	out->data.len = out->data.data ? n : 0;
	*offset += (int64_t)n;
	*room -= n;
}

static int log_read_rows(struct db *db, struct store_call *call, int64_t job)
{
	const struct store_log_query *q = call->request;
	size_t room = MIN(MAX(q->max_bytes, 1),
			  (size_t)STORE_LOG_READ_MAX_BYTES);
	struct store_log_chunk *chunks;
	int64_t offset = MAX(q->offset, 0);
	size_t n = 0;
	struct db_row *row;
	int r;

	chunks = arena_alloc(&call->arena, LOG_READ_MAX_ROWS * sizeof(*chunks));
	if (!chunks)
		return -ENOMEM;
	r = db_query(db,
		     "SELECT \"offset\", stream, data FROM log_chunks "
		     "WHERE job = ?1 AND \"offset\" >= coalesce((SELECT "
		     "max(\"offset\") FROM log_chunks WHERE job = ?1 AND "
		     "\"offset\" <= ?2), 0) AND \"offset\" < ?3 "
		     "ORDER BY \"offset\" LIMIT ?4",
		     DB_ARGS(db_int(job), db_int(offset),
			     db_int(offset + (int64_t)room),
			     db_int(LOG_READ_MAX_ROWS)),
		     &row);
	for (; r == 0 && room; r = db_next(db, row)) {
		log_take_row(row, &call->arena, &offset, &room, &chunks[n]);
		n += chunks[n].data.len > 0;
	}
	call->result.log.chunks = chunks;
	call->result.log.n = n;
	call->result.log.next = offset;
	return MIN(r, 0);
}

int sql_log_read(struct db *db, struct store_call *call)
{
	const struct store_log_query *q = call->request;
	struct sql_job job;
	int r = sql_job_load(db, call, q->job, &job);

	if (r)
		return r;
	call->result.job = job.job;
	call->result.log.total = job.job.log_bytes;
	call->result.log.next = MAX(q->offset, 0);
	if (q->offset >= job.job.log_bytes)
		return 0;
	return log_read_rows(db, call, job.seq);
}
