#include "backend/store_sql_writer.h"

#include <errno.h>

#define REPEAT_CONTEXT "repeat"

static bool writer_has_key(const struct store_writer *from)
{
	return from->execution && from->idempotency_key;
}

static int writer_open_value(struct db *db, struct store_call *call,
			     struct db_row *row, int column)
{
	_cleanup_(buf_deinit_secret) struct buf plain = { 0 };
	struct store_blob *value = &call->result.variable.value;
	int r;

	if (db_column_is_null(row, column))
		return 0;
	r = vault_open(db->vault, REPEAT_CONTEXT, db_column_data(row, column),
		       db_column_len(row, column), &plain);
	if (r)
		return store_call_fail(call, -EIO,
				       "%s: the result of an earlier request "
				       "cannot be decrypted",
				       db->name);
	value->data = arena_dup(&call->arena,
				plain.data ? plain.data : (const void *)"",
				plain.len);
	value->len = plain.len;
	return 0;
}

/* STORE_E_NOT_FOUND when this key was not used before. */
static int writer_find(struct db *db, struct store_call *call,
		       const struct sql_writer *w)
{
	struct store_variable *v = &call->result.variable;
	struct db_row *row;
	int r = db_query(db,
			 "SELECT digest, version, updated_ms, secret, "
			 "created, bytes, value FROM repeats "
			 "WHERE execution = ?1 AND key = ?2",
			 DB_ARGS(db_int(w->job.execution_seq),
				 db_str(w->from->idempotency_key)),
			 &row);

	if (r)
		return r;
	if (db_column_len(row, 0) != VAULT_DIGEST_BYTES ||
	    memcmp(db_column_data(row, 0), w->digest, VAULT_DIGEST_BYTES) != 0)
		return store_call_fail(call, STORE_E_KEY_REUSED,
				       "the Idempotency-Key %s belongs to "
				       "another request of this execution",
				       w->from->idempotency_key);
	v->version = db_column_int64(row, 1);
	v->updated_ms = db_column_int64(row, 2);
	v->secret = db_column_int(row, 3);
	v->bytes = (size_t)db_column_int64(row, 5);
	call->result.created = db_column_int(row, 4);
	call->result.repeated = true;
	return writer_open_value(db, call, row, 6);
}

int sql_writer_begin(struct db *db, struct store_call *call,
		     const struct store_writer *from, const char *what,
		     const void *data, size_t len, struct sql_writer *out)
{
	int r;

	*out = (struct sql_writer){ .from = from };
	if (!from->execution)
		return 0;
	r = sql_job_load_execution(db, call, from->execution, &out->job);
	if (r)
		return r;
	if (!job_state_live(out->job.execution_state))
		return store_call_fail(call, STORE_E_ENDED,
				       "execution %s has ended",
				       from->execution);
	if (!writer_has_key(from))
		return 0;
	r = vault_digest(db->vault, what, data, len, out->digest);
	if (r == 0)
		r = writer_find(db, call, out);
	return r == STORE_E_NOT_FOUND ? 0 : r;
}

int sql_writer_end(struct db *db, struct store_call *call,
		   const struct sql_writer *w)
{
	const struct store_variable *v = &call->result.variable;
	_cleanup_(buf_deinit) struct buf sealed = { 0 };
	int r = 0;

	if (!writer_has_key(w->from))
		return 0;
	if (v->value.data)
		r = vault_seal(db->vault, REPEAT_CONTEXT, v->value.data,
			       v->value.len, &sealed);
	if (r < 0)
		return r;
	return db_exec(db,
		       "INSERT INTO repeats (execution, key, digest, version, "
		       "updated_ms, secret, created, bytes, value) "
		       "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
		       DB_ARGS(db_int(w->job.execution_seq),
			       db_str(w->from->idempotency_key),
			       db_blob(w->digest, sizeof(w->digest)),
			       db_int(v->version), db_int(v->updated_ms),
			       db_int(v->secret), db_int(call->result.created),
			       db_int((int64_t)v->bytes),
			       v->value.data ? db_blob(sealed.data, sealed.len)
					     : db_null()));
}
