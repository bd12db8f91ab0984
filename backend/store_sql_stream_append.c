/* What is appended to a stream: in order, once. */
#include <errno.h>
#include <openssl/evp.h>

#include "backend/store_sql_job.h"
#include "backend/store_sql_stream.h"
#include "backend/store_stream.h"

#define STREAM_DIGEST_BYTES 32

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
			   const struct sql_stream *s,
			   const struct stream_key *k)
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

static int stream_key_save(struct db *db, const struct sql_stream *s,
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
					 const struct sql_stream *s)
{
	struct stream_new new = { a->records.data, a->records.len, a->n };
	int64_t seen = 0;
	size_t skip;

	if (a->from < 0 || a->from >= s->records)
		return new;
	skip = sql_stream_skip(new.data, new.len, s->records - a->from, &seen);
	new.data += skip;
	new.len -= skip;
	new.n -= seen;
	return new;
}

/* Whether the stream has these bytes from that record on; they are whole
 * lines, and there are as many. */
static int stream_compare(struct db *db, const struct sql_stream *s,
			  int64_t from, const char *data, size_t len,
			  bool *same)
{
	int64_t seen;
	struct db_row *row;
	int r = db_query(db, SQL_STREAM_CHUNKS " ORDER BY c.first",
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
		skip = sql_stream_skip(stored, n, MAX(from - first, 0), &seen);
		n = MIN(n - skip, len);
		*same = !memcmp(stored + skip, data, n);
		data += n;
		len -= n;
	}
	return MIN(r, 0);
}

/* What was stored before is dropped where it is the same. */
static int stream_check_repeat(struct db *db, struct store_call *call,
			       const struct sql_stream *s,
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

static int stream_check(struct store_call *call, const struct sql_stream *s,
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
	if (new->n && sql_stream_state(s) != STORE_STREAM_OPEN)
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

static int stream_store(struct db *db, struct sql_stream *s,
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

static void stream_set_result(struct store_call *call,
			      const struct sql_stream *s)
{
	call->result.job.id = s->id;
	call->result.stream_append.next = s->records;
	call->result.stream_append.bytes = s->bytes;
	call->result.stream_append.ended = sql_stream_state(s) !=
					   STORE_STREAM_OPEN;
}

int sql_stream_append(struct db *db, struct store_call *call)
{
	const struct store_stream_append *a = call->request;
	struct stream_new new;
	struct stream_key key;
	struct sql_stream s;
	int r = stream_key_make(a, &key);

	if (r < 0)
		return r;
	r = a->writer.execution
		    ? sql_stream_load_execution(db, call, a->writer.execution,
						a->kind, &s)
		    : sql_stream_load(db, call, a->job, a->kind, &s);
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
	if (r ||
	    (!new.n && (!a->end || sql_stream_state(&s) != STORE_STREAM_OPEN)))
		return r;
	r = stream_store(db, &s, &new, a->end);
	if (r == 0)
		r = stream_key_save(db, &s, &key);
	stream_set_result(call, &s);
	call->result.stream_append.stored = true;
	return r;
}
