/*
 * Streams: a row of their own for how many records there are, and rows of
 * whole lines, one for each append.
 */
#include <errno.h>
#include <openssl/evp.h>

#include "backend/store_sql_job.h"

#define STREAM_DIGEST_BYTES 32
#define STREAM_READ_MAX_ROWS 4096

/* -------------------------------------------------------------- the lines */

/* Bytes of the first n lines; *seen: how many there are, at most n. */
static size_t lines_skip(const char *data, size_t len, int64_t n, int64_t *seen)
{
	size_t at = 0;

	for (*seen = 0; *seen < n && at < len; ++*seen) {
		const char *end = memchr(data + at, '\n', len - at);

		at = end ? (size_t)(end - data) + 1 : len;
	}
	return at;
}

/* Bytes of the whole lines that fit into room; of the first one anyway where
 * must is set. *n: how many. */
static size_t lines_fit(const char *data, size_t len, size_t room, bool must,
			int64_t *n)
{
	const char *end = memrchr(data, '\n', MIN(room, len));
	size_t fit = end ? (size_t)(end - data) + 1 : 0;

	if (!fit && must)
		return lines_skip(data, len, 1, n);
	return lines_skip(data, fit, INT64_MAX, n);
}

/* ----------------------------------------------------------------- loading */

/* A stream as it is stored, with what its state depends on. */
struct stream {
	int64_t job; /* seq */
	const char *id;
	enum job_state job_state, execution_state;
	bool input_stream;
	const char *input_from, *reason;
	enum store_stream_kind kind;
	int64_t records, bytes;
	bool ended;
};

#define STREAM_COLUMNS                                                \
	"SELECT j.seq, j.id, j.state, j.input_stream, j.input_from, " \
	"j.reason, coalesce(s.records, 0), coalesce(s.bytes, 0), "    \
	"coalesce(s.ended, 0)"
#define STREAM_JOIN " LEFT JOIN streams s ON s.job = j.seq AND s.kind = ?2 "

static void stream_read_row(struct db_row *row, struct arena *a,
			    struct stream *out)
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

static int stream_load(struct db *db, struct store_call *call, const char *job,
		       enum store_stream_kind kind, struct stream *out)
{
	static const char sql[] = STREAM_COLUMNS " FROM jobs j" STREAM_JOIN
						 "WHERE j.id = ?1";
	struct db_row *row;
	int r = sql_job_lock(db, job);

	if (r == 0)
		r = db_query(db, sql, DB_ARGS(db_str(job), db_int(kind)), &row);
	*out = (struct stream){ .kind = kind };
	if (r == STORE_E_NOT_FOUND)
		return store_call_fail(call, r, "there is no job %s", job);
	if (r == 0)
		stream_read_row(row, &call->arena, out);
	return r;
}

static int stream_load_execution(struct db *db, struct store_call *call,
				 const char *execution,
				 enum store_stream_kind kind,
				 struct stream *out)
{
	static const char sql[] = STREAM_COLUMNS
		", e.state FROM executions e JOIN jobs j ON j.seq = "
		"e.job" STREAM_JOIN "WHERE e.id = ?1";
	struct db_row *row;
	int r = sql_job_lock_execution(db, execution);

	if (r == 0)
		r = db_query(db, sql, DB_ARGS(db_str(execution), db_int(kind)),
			     &row);
	*out = (struct stream){ .kind = kind };
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

/* An input that comes from another job is that job's output. */
static int stream_load_source(struct db *db, struct store_call *call,
			      struct stream *s)
{
	if (s->kind != STORE_STREAM_INPUT || !s->input_from)
		return 0;
	return stream_load(db, call, s->input_from, STORE_STREAM_OUTPUT, s);
}

static enum store_stream_state stream_state(const struct stream *s)
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

/* The chunks of a stream (job, kind) that have ?4 bytes from record ?3 on, and
 * some more: those that begin up to there behind the first one. */
#define STREAM_CHUNKS_FROM                                            \
	"SELECT c.first, c.at, c.data FROM stream_chunks c, (SELECT " \
	"first, at, length(data) AS len FROM stream_chunks "          \
	"WHERE job = ?1 AND kind = ?2 AND first <= ?3 "               \
	"ORDER BY first DESC LIMIT 1) AS s WHERE c.job = ?1 "         \
	"AND c.kind = ?2 AND c.first >= s.first "                     \
	"AND c.at <= s.at + s.len + ?4"

/* -------------------------------------------------------- idempotency keys */

struct stream_key {
	const char *key; /* NULL: none */
	uint8_t digest[STREAM_DIGEST_BYTES];
};

static int stream_key_make(const struct store_stream_append *a,
			   struct stream_key *out)
{
	EVP_MD_CTX *md;
	bool ok;

	*out = (struct stream_key){ 0 };
	if (a->from >= 0 || !a->writer.idempotency_key)
		return 0;
	out->key = a->writer.idempotency_key;
	md = EVP_MD_CTX_new();
	ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) &&
	     EVP_DigestUpdate(md, &a->end, sizeof(a->end)) &&
	     EVP_DigestUpdate(md, a->records.data, a->records.len) &&
	     EVP_DigestFinal_ex(md, out->digest, NULL);
	EVP_MD_CTX_free(md);
	return ok ? 0 : -ENOMEM;
}

/* 0 with result->repeated where it was used for this; STORE_E_NOT_FOUND where
 * it was not used at all. */
static int stream_key_find(struct db *db, struct store_call *call,
			   const struct stream *s, const struct stream_key *k)
{
	struct db_row *row;
	int r = db_query(
		db,
		"SELECT digest, next FROM stream_keys "
		"WHERE job = ?1 AND kind = ?2 AND key = ?3",
		DB_ARGS(db_int(s->job), db_int(s->kind), db_str(k->key)), &row);

	if (r)
		return r;
	if (db_column_len(row, 0) != STREAM_DIGEST_BYTES ||
	    memcmp(db_column_data(row, 0), k->digest, STREAM_DIGEST_BYTES))
		return store_call_fail(call, STORE_E_KEY_REUSED,
				       "the Idempotency-Key %s belongs to "
				       "another append",
				       k->key);
	call->result.stream_append.next = db_column_int64(row, 1);
	call->result.repeated = true;
	return 0;
}

static int stream_key_save(struct db *db, const struct stream *s,
			   const struct stream_key *k)
{
	if (!k->key)
		return 0;
	return db_exec(db,
		       "INSERT INTO stream_keys (job, kind, key, digest, next) "
		       "VALUES (?1, ?2, ?3, ?4, ?5)",
		       DB_ARGS(db_int(s->job), db_int(s->kind), db_str(k->key),
			       db_blob(k->digest, sizeof(k->digest)),
			       db_int(s->records)));
}

/* ----------------------------------------------------------------- append */

/* What of an append is new. */
struct stream_new {
	const char *data;
	size_t len;
	int64_t n;
};

static struct stream_new stream_take_new(const struct store_stream_append *a,
					 const struct stream *s)
{
	struct stream_new new = { a->records.data, a->records.len, a->n };
	int64_t seen = 0;
	size_t skip;

	if (a->from < 0 || a->from >= s->records)
		return new;
	skip = lines_skip(new.data, new.len, s->records - a->from, &seen);
	new.data += skip;
	new.len -= skip;
	new.n -= seen;
	return new;
}

/* Whether the stream has these bytes from that record on; they are whole
 * lines, and there are as many. */
static int stream_compare(struct db *db, const struct stream *s, int64_t from,
			  const char *data, size_t len, bool *same)
{
	int64_t seen;
	struct db_row *row;
	int r = db_query(db, STREAM_CHUNKS_FROM " ORDER BY c.first",
			 DB_ARGS(db_int(s->job), db_int(s->kind), db_int(from),
				 db_int((int64_t)len)),
			 &row);

	*same = true;
	for (; r == 0 && len && *same; r = db_next(db, row)) {
		int64_t first = db_column_int64(row, 0);
		const char *stored = db_column_data(row, 2);
		size_t n = db_column_len(row, 2), skip;

		if (!stored)
			return -ENOMEM;
		skip = lines_skip(stored, n, MAX(from - first, 0), &seen);
		n = MIN(n - skip, len);
		*same = !memcmp(stored + skip, data, n);
		data += n;
		len -= n;
	}
	return MIN(r, 0);
}

/* What was stored before is dropped where it is the same. */
static int stream_check_repeat(struct db *db, struct store_call *call,
			       const struct stream *s,
			       const struct stream_new *new)
{
	const struct store_stream_append *a = call->request;
	bool same;
	int r;

	if (a->from < 0 || new->n == a->n)
		return 0;
	r = stream_compare(db, s, a->from, a->records.data,
			   a->records.len - new->len, &same);
	if (r < 0 || same)
		return r;
	return store_call_fail(call, STORE_E_CONFLICT,
			       "there are other records from %lld on, %lld in "
			       "all: somebody else writes, too",
			       (long long)a->from, (long long)s->records);
}

static int stream_check(struct store_call *call, const struct stream *s,
			const struct stream_new *new)
{
	const struct store_stream_append *a = call->request;

	if (a->from > s->records)
		return store_call_fail(
			call, STORE_E_STREAM_GAP,
			"the stream goes on with record %lld, not %lld",
			(long long)s->records, (long long)a->from);
	if (s->kind == STORE_STREAM_INPUT && s->input_from)
		return store_call_fail(call, STORE_E_STREAM_ENDED,
				       "the input stream of %s is the output "
				       "of %s",
				       s->id, s->input_from);
	if (s->kind == STORE_STREAM_INPUT && job_state_ended(s->job_state) &&
	    (a->n || a->end))
		return store_call_fail(call, STORE_E_ENDED,
				       "job %s has ended, and its input with "
				       "it",
				       s->id);
	if (new->n && stream_state(s) != STORE_STREAM_OPEN)
		return store_call_fail(call, STORE_E_STREAM_ENDED,
				       "the stream has ended after %lld "
				       "records",
				       (long long)s->records);
	if (a->limit_bytes && s->bytes + (int64_t) new->len > a->limit_bytes)
		return store_call_fail(call, STORE_E_LIMIT,
				       "a stream holds at most %lld bytes",
				       (long long)a->limit_bytes);
	return 0;
}

static int stream_store(struct db *db, struct stream *s,
			const struct stream_new *new, bool end)
{
	int r = 0;

	if (new->n)
		r = db_exec(db,
			    "INSERT INTO stream_chunks (job, kind, first, at, "
			    "n, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
			    DB_ARGS(db_int(s->job), db_int(s->kind),
				    db_int(s->records), db_int(s->bytes),
				    db_int(new->n),
				    db_blob(new->data, new->len)));
	s->records += new->n;
	s->bytes += (int64_t) new->len;
	s->ended |= end;
	if (r < 0)
		return r;
	r = db_exec(db,
		    "INSERT INTO streams (job, kind, records, bytes, ended) "
		    "VALUES (?1, ?2, ?3, ?4, ?5) "
		    "ON CONFLICT (job, kind) DO UPDATE SET "
		    "records = excluded.records, bytes = excluded.bytes, "
		    "ended = excluded.ended",
		    DB_ARGS(db_int(s->job), db_int(s->kind), db_int(s->records),
			    db_int(s->bytes), db_int(s->ended)));
	return r ? r : db_notify(db, STORE_NOTICE_STREAM, s->id, 0);
}

static void stream_set_result(struct store_call *call, const struct stream *s)
{
	call->result.job.id = s->id;
	call->result.stream_append.next = s->records;
	call->result.stream_append.bytes = s->bytes;
	call->result.stream_append.ended = stream_state(s) != STORE_STREAM_OPEN;
}

int sql_stream_append(struct db *db, struct store_call *call)
{
	const struct store_stream_append *a = call->request;
	struct stream_new new;
	struct stream_key key;
	struct stream s;
	int r = stream_key_make(a, &key);

	if (r < 0)
		return r;
	r = a->writer.execution
		    ? stream_load_execution(db, call, a->writer.execution,
					    a->kind, &s)
		    : stream_load(db, call, a->job, a->kind, &s);
	if (r)
		return r;
	stream_set_result(call, &s);
	if (key.key)
		r = stream_key_find(db, call, &s, &key);
	if (call->result.repeated || (r && r != STORE_E_NOT_FOUND))
		return r;
	new = stream_take_new(a, &s);
	r = stream_check(call, &s, &new);
	if (r == 0)
		r = stream_check_repeat(db, call, &s, &new);
	/* To end what has ended is no change, of a job's own accord either. */
	if (r || (!new.n && (!a->end || stream_state(&s) != STORE_STREAM_OPEN)))
		return r;
	r = stream_store(db, &s, &new, a->end);
	if (r == 0)
		r = stream_key_save(db, &s, &key);
	stream_set_result(call, &s);
	call->result.stream_append.stored = true;
	return r;
}

/* ------------------------------------------------------------------- read */

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
	size_t first = lines_skip(line, len, 1, &seen);

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
	skip = lines_skip(data, len, MAX(c->from - first, 0), &seen);
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
			    const struct stream *s)
{
	const struct store_stream_query *q = call->request;
	struct stream_cursor c = {
		.arena = &call->arena,
		.room = MIN(MAX(q->max_bytes, 1),
			    (size_t)STORE_STREAM_READ_MAX_BYTES),
		.from = q->from,
	};
	struct db_row *row;
	int r = db_query(db, STREAM_CHUNKS_FROM " ORDER BY c.first LIMIT ?5",
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
	struct stream s;
	int r = stream_load(db, call, q->job, q->kind, &s);

	if (r)
		return r;
	if (q->kind == STORE_STREAM_INPUT && job_state_ended(s.job_state))
		return store_call_fail(call, STORE_E_ENDED,
				       "job %s has ended, and its input with "
				       "it",
				       q->job);
	r = stream_load_source(db, call, &s);
	if (r)
		return r;
	call->result.stream.job = s.id;
	call->result.stream.kind = s.kind;
	call->result.stream.records = s.records;
	call->result.stream.bytes = s.bytes;
	call->result.stream.state = stream_state(&s);
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
	struct stream s;
	int r = stream_load(db, call, job, kind, &s);

	if (r == 0 && kind == STORE_STREAM_INPUT)
		out->from = s.input_from;
	if (r == 0)
		r = stream_load_source(db, call, &s);
	out->state = stream_state(&s);
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
