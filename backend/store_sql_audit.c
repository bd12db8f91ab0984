/* The audit log, and API keys. */
#include <errno.h>

#include "backend/store_admin.h"
#include "backend/store_sql.h"
#include "common/clock.h"

/* ------------------------------------------------------------------ audit */

int sql_audit_note(struct db *db, const struct store_audit *e, int r)
{
	const char *result = e->result && r == 0 ? e->result
						 : store_outcome_name(r);

	return db_exec(
		db,
		"INSERT INTO audit (at_ms, who, action, target, result, job, "
		"execution, trace_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
		DB_ARGS(db_int(clock_wall_ms()), db_str(e->who),
			db_str(e->action), db_str(e->target), db_str(result),
			db_str(e->job), db_str(e->execution),
			db_str(e->trace_id)));
}

/* The entry is a member of the request: the writer notes it as it does those
 * of other operations. */
int sql_audit_append(struct db *db UNUSED, struct store_call *call)
{
	const struct store_request_audit *request = call->request;

	if (!request->audit.action)
		return store_call_fail(call, -EINVAL,
				       "an audit entry needs an action");
	return 0;
}

static void audit_read_row(struct db_row *row, struct arena *a,
			   struct store_audit_entry *out)
{
	out->id = db_column_int64(row, 0);
	out->at_ms = db_column_int64(row, 1);
	out->entry.who = db_column_str(row, 2, a);
	out->entry.action = db_column_str(row, 3, a);
	out->entry.target = db_column_str(row, 4, a);
	out->entry.result = db_column_str(row, 5, a);
	out->entry.job = db_column_str(row, 6, a);
	out->entry.execution = db_column_str(row, 7, a);
	out->entry.trace_id = db_column_str(row, 8, a);
}

#define AUDIT_SELECT                                                      \
	"SELECT id, at_ms, who, action, target, result, job, execution, " \
	"trace_id FROM audit WHERE id < ?1 "

static int audit_query(struct db *db, const struct store_audit_query *q,
		       struct db_arg before, struct db_arg more,
		       struct db_row **row)
{
	static const char sql_all[] = AUDIT_SELECT "ORDER BY id DESC LIMIT ?2";
	static const char sql_execution[] = AUDIT_SELECT
		"AND execution = ?3 ORDER BY id DESC LIMIT ?2";
	/* Entries of executions are found by these: they are the many. */
	static const char sql_job[] = AUDIT_SELECT
		"AND job = ?3 AND execution IS NULL UNION ALL " AUDIT_SELECT
		"AND execution IN (SELECT x.id FROM executions x "
		"JOIN jobs j ON j.seq = x.job WHERE j.id = ?3) "
		"ORDER BY id DESC LIMIT ?2";

	if (q->execution)
		return db_query(db, sql_execution,
				DB_ARGS(before, more, db_str(q->execution)),
				row);
	if (q->job)
		return db_query(db, sql_job,
				DB_ARGS(before, more, db_str(q->job)), row);
	return db_query(db, sql_all, DB_ARGS(before, more), row);
}

int sql_audit_list(struct db *db, struct store_call *call)
{
	const struct store_audit_query *q = call->request;
	size_t limit = MIN(MAX(q->limit, 1), STORE_LIST_MAX), n = 0;
	struct store_audit_entry *items = arena_alloc(&call->arena,
						      limit * sizeof(*items));
	struct db_arg before = db_int(q->before ? q->before : INT64_MAX);
	struct db_arg more = db_int((int64_t)limit + 1);
	struct db_row *row;
	int r;

	if (!items)
		return -ENOMEM;
	r = audit_query(db, q, before, more, &row);
	for (; r == 0 && n < limit; r = db_next(db, row))
		audit_read_row(row, &call->arena, &items[n++]);
	call->result.audit.items = items;
	call->result.audit.n = n;
	call->result.audit.more = r == 0;
	return MIN(r, 0);
}

/* --------------------------------------------------------------- API keys */

int sql_api_key_add(struct db *db, struct store_call *call)
{
	const struct store_api_key_new *add = call->request;
	const struct store_api_key *k = &add->key;
	struct db_row *row;
	int r = db_query(
		db, "SELECT 1 FROM api_keys WHERE id = ?1 OR hash = ?2",
		DB_ARGS(db_str(k->id), db_blob(k->hash, sizeof(k->hash))),
		&row);

	if (r == 0)
		return store_call_fail(call, STORE_E_EXISTS,
				       "the API key %s exists", k->id);
	if (r < 0)
		return r;
	r = db_exec(db,
		    "INSERT INTO api_keys (id, name, hash, created_ms) "
		    "VALUES (?1, ?2, ?3, ?4)",
		    DB_ARGS(db_str(k->id), db_str(k->name),
			    db_blob(k->hash, sizeof(k->hash)),
			    db_int(clock_wall_ms())));
	return r ? r : db_notify(db, STORE_NOTICE_API_KEY, k->id, 0);
}

static int api_key_changed(struct db *db, struct store_call *call,
			   const char *id, int r)
{
	int64_t n = r < 0 ? r : db_changes(db);

	if (n)
		return (int)MIN(n, 0);
	return store_call_fail(call, STORE_E_NOT_FOUND,
			       "there is no API key %s", id);
}

int sql_api_key_delete(struct db *db, struct store_call *call)
{
	const struct store_api_key_delete *del = call->request;
	int r = db_exec(db, "DELETE FROM api_keys WHERE id = ?1",
			DB_ARGS(db_str(del->id)));

	r = api_key_changed(db, call, del->id, r);
	return r ? r : db_notify(db, STORE_NOTICE_API_KEY, del->id, 0);
}

int sql_api_key_touch(struct db *db, struct store_call *call)
{
	const struct store_request_id *request = call->request;
	int r = db_exec(db,
			"UPDATE api_keys SET last_used_ms = ?2 WHERE id = ?1",
			DB_ARGS(db_str(request->id), db_int(clock_wall_ms())));

	return api_key_changed(db, call, request->id, r);
}

static int api_key_count(struct db *db, size_t *n)
{
	struct db_row *row;
	int r = db_query(db, "SELECT count(*) FROM api_keys", DB_NO_ARGS, &row);

	if (r == 0)
		*n = (size_t)db_column_int64(row, 0);
	return MIN(r, 0);
}

int sql_api_key_list(struct db *db, struct store_call *call)
{
	struct arena *a = &call->arena;
	struct store_api_key *keys;
	size_t max = 0, n = 0;
	struct db_row *row;
	int r = api_key_count(db, &max);

	if (r < 0)
		return r;
	keys = arena_zalloc(a, max * sizeof(*keys));
	if (!keys)
		return -ENOMEM;
	r = db_query(db,
		     "SELECT id, name, hash, created_ms, last_used_ms "
		     "FROM api_keys ORDER BY created_ms, id",
		     DB_NO_ARGS, &row);
	for (; r == 0 && n < max; r = db_next(db, row)) {
		struct store_api_key *k = &keys[n++];

		k->id = db_column_str(row, 0, a);
		k->name = db_column_str(row, 1, a);
		if (db_column_len(row, 2) == STORE_HASH_BYTES)
			memcpy(k->hash, db_column_data(row, 2),
			       STORE_HASH_BYTES);
		k->created_ms = db_column_int64(row, 3);
		k->last_used_ms = db_column_int64(row, 4);
	}
	call->result.api_keys.items = keys;
	call->result.api_keys.n = n;
	return MIN(r, 0);
}
