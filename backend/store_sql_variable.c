/*
 * Variables. A secret's value is sealed, bound to its key and version, so
 * that an old or another secret cannot be put in its place.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "backend/store_sql_change.h"
#include "backend/store_sql_variable.h"
#include "backend/store_sql_writer.h"
#include "backend/store_variable.h"
#include "common/clock.h"
#include "common/number.h"

#define VARIABLE_CONTEXT_MAX_BYTES 640 /* longest key, and a version */

static int variable_context(const char *key, int64_t version, char *out)
{
	int n = snprintf(out, VARIABLE_CONTEXT_MAX_BYTES,
			 "variable:%" PRId64 ":%s", version, key);

	return n < VARIABLE_CONTEXT_MAX_BYTES ? 0 : -ENAMETOOLONG;
}

/* ---------------------------------------------------------------- loading */

int sql_variable_open(struct db *db, struct store_call *call, const char *key,
		      int64_t version, const struct store_blob *sealed,
		      struct store_blob *out)
{
	_cleanup_(buf_deinit_secret) struct buf plain = { 0 };
	char context[VARIABLE_CONTEXT_MAX_BYTES];
	int r = variable_context(key, version, context);

	if (r == 0)
		r = vault_open(db->vault, context, sealed->data, sealed->len,
			       &plain);
	if (r == VAULT_E_REFUSED)
		return store_call_fail(call, -EIO,
				       "%s: the secret %s cannot be "
				       "decrypted: it is damaged; set it again",
				       db->name, key);
	if (r < 0)
		return r;
	out->len = plain.len;
	out->data = arena_dup(&call->arena,
			      plain.data ? plain.data : (const void *)"",
			      plain.len);
	return 0;
}

int sql_variable_load(struct db *db, struct store_call *call, const char *key,
		      bool with_value, struct store_variable *v)
{
	struct store_blob stored;
	struct db_row *row;
	int r = db_query(db,
			 "SELECT secret, version, updated_ms, bytes, value "
			 "FROM variables WHERE key = ?1",
			 DB_ARGS(db_str(key)), &row);

	*v = (struct store_variable){ .key = key };
	if (r == STORE_E_NOT_FOUND)
		return store_call_fail(call, r, "there is no variable %s", key);
	if (r < 0)
		return r;
	v->secret = db_column_int(row, 0);
	v->version = db_column_int64(row, 1);
	v->updated_ms = db_column_int64(row, 2);
	v->bytes = (size_t)db_column_int64(row, 3);
	if (!with_value)
		return 0;
	stored = db_column_blob(row, 4, &call->arena);
	if (v->secret)
		return sql_variable_open(db, call, key, v->version, &stored,
					 &v->value);
	v->value = stored;
	return 0;
}

int sql_variable_get(struct db *db, struct store_call *call)
{
	const struct store_request_id *request = call->request;

	return sql_variable_load(db, call, request->id, true,
				 &call->result.variable);
}

/* Keys come in the order of their bytes: those with a prefix are neighbours,
 * and the first that begins otherwise is behind them all. */
static bool variable_matches(struct db_row *row, const char *prefix)
{
	const char *key = db_column_data(row, 0);
	size_t len = strlen(prefix);

	return key && db_column_len(row, 0) >= len && !memcmp(key, prefix, len);
}

int sql_variable_list(struct db *db, struct store_call *call)
{
	const struct store_variable_query *q = call->request;
	size_t limit = MIN(MAX(q->limit, 1), STORE_LIST_MAX), n = 0;
	struct store_variable *items = arena_zalloc(&call->arena,
						    limit * sizeof(*items));
	const char *prefix = q->prefix ? q->prefix : "";
	struct db_row *row;
	int r;

	if (!items)
		return -ENOMEM;
	r = db_query(db,
		     "SELECT key, secret, version, updated_ms, bytes "
		     "FROM variables WHERE key >= ?1 AND key > ?2 "
		     "ORDER BY key LIMIT ?3",
		     DB_ARGS(db_str(prefix), db_str(q->after ? q->after : ""),
			     db_int((int64_t)limit + 1)),
		     &row);
	for (; r == 0 && variable_matches(row, prefix) && n < limit;
	     r = db_next(db, row)) {
		struct store_variable *v = &items[n++];

		v->key = db_column_str(row, 0, &call->arena);
		v->secret = db_column_int(row, 1);
		v->version = db_column_int64(row, 2);
		v->updated_ms = db_column_int64(row, 3);
		v->bytes = (size_t)db_column_int64(row, 4);
	}
	call->result.variables.items = items;
	call->result.variables.n = n;
	call->result.variables.more = r == 0 && n == limit &&
				      variable_matches(row, prefix);
	return MIN(r, 0);
}

/* ---------------------------------------------------------------- storing */

/* Taken before a variable is read, so that the versions of all backends, and
 * what they are made of, come one after the other. */
static int variable_lock(struct db *db)
{
	static const struct db_sql sql = {
		{ [DB_POSTGRES] = "SELECT 1 FROM counters WHERE "
				  "name = 'variable_version' "
				  "FOR NO KEY UPDATE" }
	};

	return db_lock(db, &sql, DB_NO_ARGS);
}

static int variable_next_version(struct db *db, int64_t *version)
{
	return db_query_int(db,
			    "UPDATE counters SET n = n + 1 "
			    "WHERE name = 'variable_version' RETURNING n",
			    DB_NO_ARGS, version);
}

/* Stores v->value under v->key with v->secret, as a new version. */
static int variable_store(struct db *db, const struct store_variable *old,
			  struct store_variable *v)
{
	_cleanup_(buf_deinit) struct buf sealed = { 0 };
	struct store_blob stored = v->value;
	char context[VARIABLE_CONTEXT_MAX_BYTES];
	int r = variable_next_version(db, &v->version);

	if (r == 0)
		r = variable_context(v->key, v->version, context);
	if (r == 0 && v->secret) {
		r = vault_seal(db->vault, context, v->value.data, v->value.len,
			       &sealed);
		stored.data = sealed.data;
		stored.len = sealed.len;
	}
	if (r < 0)
		return r;
	v->updated_ms = clock_wall_ms();
	v->bytes = v->value.len;
	r = db_exec(db,
		    "INSERT INTO variables (key, secret, version, updated_ms, "
		    "bytes, value) VALUES (?1, ?2, ?3, ?4, ?5, ?6) "
		    "ON CONFLICT (key) DO UPDATE SET secret = excluded.secret, "
		    "version = excluded.version, "
		    "updated_ms = excluded.updated_ms, "
		    "bytes = excluded.bytes, value = excluded.value",
		    DB_ARGS(db_str(v->key), db_int(v->secret),
			    db_int(v->version), db_int(v->updated_ms),
			    db_int((int64_t)v->bytes),
			    db_blob(stored.data, stored.len)));
	if (r == 0 && v->secret && !old->secret)
		r = sql_change_forget(db, v->key);
	return r == 0 ? sql_change_add(db, v, &stored) : r;
}

static int variable_check_version(struct store_call *call,
				  const struct store_variable *v,
				  int64_t expect)
{
	if (expect == STORE_EXPECT_ANY || expect == v->version ||
	    (expect == STORE_EXPECT_PRESENT && v->version))
		return 0;
	call->result.variable = *v;
	if (!v->version)
		return store_call_fail(call, STORE_E_CONFLICT,
				       "variable %s does not exist", v->key);
	if (expect == STORE_EXPECT_ABSENT)
		return store_call_fail(call, STORE_E_EXISTS,
				       "variable %s exists", v->key);
	return store_call_fail(call, STORE_E_CONFLICT,
			       "variable %s has version %" PRId64
			       ", not %" PRId64,
			       v->key, v->version, expect);
}

/* What a request is, for its Idempotency-Key, but for the value. */
static const char *variable_what(struct store_call *call, char *out,
				 const char *key, int64_t expect, int secret)
{
	snprintf(out, VARIABLE_CONTEXT_MAX_BYTES, "%d:%" PRId64 ":%d:%s",
		 call->op, expect, secret, key);
	return out;
}

int sql_variable_put(struct db *db, struct store_call *call)
{
	const struct store_variable_put *put = call->request;
	struct store_variable *v = &call->result.variable, old;
	char what[VARIABLE_CONTEXT_MAX_BYTES];
	struct sql_writer w;
	int r = sql_writer_begin(db, call, &put->writer,
				 variable_what(call, what, put->key,
					       put->expect, put->secret),
				 put->value.data, put->value.len, &w);

	v->key = put->key;
	if (r || call->result.repeated)
		return r;
	r = variable_lock(db);
	if (r == 0)
		r = sql_variable_load(db, call, put->key, false, &old);
	if (r < 0)
		return r;
	call->result.created = r == STORE_E_NOT_FOUND;
	r = variable_check_version(call, &old, put->expect);
	if (r)
		return r;
	v->value = put->value;
	v->secret = put->secret == STORE_SECRET_KEEP
			    ? old.secret
			    : put->secret == STORE_SECRET_ON;
	r = variable_store(db, &old, v);
	v->value = (struct store_blob){ NULL, 0 }; /* for a repeat: not again */
	call->result.message = NULL;
	if (r == 0)
		r = sql_writer_end(db, call, &w);
	v->value = put->value;
	return r;
}

int sql_variable_delete(struct db *db, struct store_call *call)
{
	const struct store_variable_delete *del = call->request;
	struct store_variable *v = &call->result.variable, old;
	char what[VARIABLE_CONTEXT_MAX_BYTES];
	struct sql_writer w;
	int r = sql_writer_begin(db, call, &del->writer,
				 variable_what(call, what, del->key,
					       del->expect, 0),
				 NULL, 0, &w);

	v->key = del->key;
	if (r || call->result.repeated)
		return r;
	r = variable_lock(db);
	if (r == 0)
		r = sql_variable_load(db, call, del->key, false, &old);
	if (r == 0)
		r = variable_check_version(call, &old, del->expect);
	if (r)
		return r;
	r = db_exec(db, "DELETE FROM variables WHERE key = ?1",
		    DB_ARGS(db_str(del->key)));
	if (r == 0)
		r = variable_next_version(db, &v->version);
	v->updated_ms = clock_wall_ms();
	v->secret = old.secret;
	if (r == 0)
		r = sql_change_add(db, v, NULL);
	if (r == 0)
		r = sql_writer_end(db, call, &w);
	return r;
}

/* -------------------------------------------------------------- increment */

static int increment_add(struct store_call *call, const char *by,
			 struct store_variable *v)
{
	const char *value = v->value.data ? v->value.data : "0";
	size_t len = v->value.data ? v->value.len : 1;
	char sum[NUMBER_MAX_BYTES];
	int r = number_add(value, len, by, strlen(by), sum);

	if (r == NUMBER_E_TYPE)
		return store_call_fail(call, STORE_E_TYPE,
				       "variable %s, or what is added to it, "
				       "is not a number",
				       v->key);
	if (r)
		return store_call_fail(call, STORE_E_RANGE,
				       "the sum for variable %s does not fit "
				       "in 64 bits",
				       v->key);
	v->value.len = strlen(sum);
	v->value.data = arena_dup(&call->arena, sum, v->value.len);
	return v->value.data ? 0 : -ENOMEM;
}

int sql_variable_increment(struct db *db, struct store_call *call)
{
	const struct store_variable_increment *inc = call->request;
	struct store_variable *v = &call->result.variable, old;
	char what[VARIABLE_CONTEXT_MAX_BYTES];
	struct sql_writer w;
	int r = sql_writer_begin(db, call, &inc->writer,
				 variable_what(call, what, inc->key, 0, 0),
				 inc->by, strlen(inc->by), &w);

	v->key = inc->key;
	if (r || call->result.repeated)
		return r;
	r = variable_lock(db);
	if (r == 0)
		r = sql_variable_load(db, call, inc->key, true, v);
	if (r < 0)
		return r;
	call->result.created = r == STORE_E_NOT_FOUND;
	call->result.message = NULL;
	old = *v;
	r = increment_add(call, inc->by, v);
	if (r == 0)
		r = variable_store(db, &old, v);
	if (r == 0)
		r = sql_writer_end(db, call, &w);
	return r;
}
