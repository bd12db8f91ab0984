/*
 * Changes of variables. Each write takes the next version and leaves a row in
 * its own transaction, so that there is a row for every version from the
 * oldest one on. A value is kept as it is in the table of variables: a secret's
 * is sealed, bound to its key and version.
 */
#include "backend/store_sql_change.h"

#include <errno.h>

#include "backend/store_sql_variable.h"
#include "backend/store_variable.h"

/* ---------------------------------------------------------------- writing */

/* By version, not by count: most times this is one row, by the primary key. */
static int change_trim(struct db *db, int64_t newest)
{
	return db_exec(db, "DELETE FROM variable_changes WHERE version <= ?1",
		       DB_ARGS(db_int(newest - STORE_CHANGES_MAX)));
}

int sql_change_add(struct db *db, const struct store_variable *v,
		   const struct store_blob *stored)
{
	bool kept = stored && v->bytes <= STORE_CHANGE_VALUE_MAX_BYTES;
	int r = db_exec(
		db,
		"INSERT INTO variable_changes (version, key, deleted, secret, "
		"kept, at_ms, value) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
		DB_ARGS(db_int(v->version), db_str(v->key), db_int(!stored),
			db_int(v->secret), db_int(kept), db_int(v->updated_ms),
			kept ? db_blob(stored->data, stored->len) : db_null()));

	if (r == 0)
		r = db_notify(db, STORE_NOTICE_VARIABLE, v->key, v->version);
	return r == 0 ? change_trim(db, v->version) : r;
}

int sql_change_forget(struct db *db, const char *key)
{
	return db_exec(db,
		       "UPDATE variable_changes SET kept = 0, value = NULL "
		       "WHERE key = ?1 AND secret = 0 AND kept <> 0",
		       DB_ARGS(db_str(key)));
}

/* ---------------------------------------------------------------- reading */

struct change_list {
	const struct store_change_query *query;
	struct store_variable now; /* of a key, without the value */
	int64_t position;
	int64_t floor; /* what came after this version is known */
	struct store_change *items;
	size_t n, limit, bytes;
};

static int change_bounds(struct db *db, struct change_list *l)
{
	struct db_row *row;
	int r = db_query(db,
			 "SELECT n, (SELECT min(version) FROM variable_changes)"
			 " FROM counters WHERE name = 'variable_version'",
			 DB_NO_ARGS, &row);

	if (r)
		return r > 0 ? -EIO : r;
	l->position = db_column_int64(row, 0);
	l->floor = db_column_is_null(row, 1) ? l->position
					     : db_column_int64(row, 1) - 1;
	return 0;
}

/* Whether a value that the key had in between is not known any more. */
static int change_value_lost(struct db *db, const struct change_list *l,
			     bool *lost)
{
	struct db_row *row;
	int r = db_query(db,
			 "SELECT 1 FROM variable_changes WHERE key = ?1 "
			 "AND version > ?2 AND kept = 0 AND deleted = 0 "
			 "AND version <> ?3 LIMIT 1",
			 DB_ARGS(db_str(l->query->key), db_int(l->query->after),
				 db_int(l->now.version)),
			 &row);

	*lost = r == 0;
	return MIN(r, 0);
}

static int change_lost(struct db *db, const struct change_list *l, bool *lost)
{
	int64_t after = l->query->after;

	*lost = after > l->position; /* an older database was restored */
	if (*lost || (l->now.version && l->now.version <= after))
		return 0;
	*lost = after < l->floor;
	if (*lost || !l->query->key)
		return 0;
	return change_value_lost(db, l, lost);
}

static int change_read_value(struct db *db, struct store_call *call,
			     struct db_row *row, const struct change_list *l,
			     struct store_change *c)
{
	struct store_variable v;
	struct store_blob stored;
	int r;

	if (c->deleted)
		return 0;
	if (!db_column_int(row, 4)) { /* it is the variable's own */
		r = sql_variable_load(db, call, c->key, true, &v);
		c->value = v.value;
		return r > 0 ? -EIO : r;
	}
	stored = db_column_blob(row, 5, &call->arena);
	c->value = stored;
	if (!c->secret)
		return 0;
	return sql_variable_open(db, call, l->query->key, c->version, &stored,
				 &c->value);
}

/* The row's change as the next item. */
static int change_take(struct db *db, struct store_call *call,
		       struct db_row *row, struct change_list *l)
{
	struct store_change *c = &l->items[l->n++];
	const char *key = l->query->key;
	int r = 0;

	c->version = db_column_int64(row, 0);
	c->key = key ? key : db_column_str(row, 1, &call->arena);
	c->deleted = db_column_int(row, 2);
	c->secret = db_column_int(row, 3);
	if (key)
		r = change_read_value(db, call, row, l, c);
	l->bytes += c->value.len;
	return r;
}

static int change_query(struct db *db, const struct change_list *l,
			struct db_row **row)
{
	struct db_arg after = db_int(l->query->after);
	struct db_arg limit = db_int((int64_t)l->limit + 1);

	if (!l->query->key)
		return db_query(db,
				"SELECT version, key, deleted, secret "
				"FROM variable_changes WHERE version > ?1 "
				"ORDER BY version LIMIT ?2",
				DB_ARGS(after, limit), row);
	return db_query(db,
			"SELECT version, key, deleted, secret, kept, value "
			"FROM variable_changes WHERE version > ?1 "
			"AND key = ?3 ORDER BY version LIMIT ?2",
			DB_ARGS(after, limit, db_str(l->query->key)), row);
}

static int change_read(struct db *db, struct store_call *call,
		       struct change_list *l)
{
	struct db_row *row;
	int r;

	l->limit = MIN(MAX(l->query->limit, 1), STORE_LIST_MAX);
	l->items = arena_zalloc(&call->arena, l->limit * sizeof(*l->items));
	if (!l->items)
		return -ENOMEM;
	r = change_query(db, l, &row);
	while (r == 0 && l->n < l->limit &&
	       (!l->n || l->bytes < l->query->max_bytes)) {
		r = change_take(db, call, row, l);
		if (r == 0)
			r = db_next(db, row);
	}
	call->result.changes.items = l->items;
	call->result.changes.n = l->n;
	call->result.changes.more = r == 0;
	return MIN(r, 0);
}

int sql_change_list(struct db *db, struct store_call *call)
{
	struct change_list l = { .query = call->request };
	const char *key = l.query->key;
	bool lost = false;
	int r = change_bounds(db, &l);

	if (r == 0 && key)
		r = sql_variable_load(db, call, key, false, &l.now);
	if (r >= 0 && l.query->after >= 0)
		r = change_lost(db, &l, &lost);
	if (r < 0)
		return r;
	call->result.changes.position = l.position;
	call->result.changes.reset = lost;
	if (l.query->after >= 0 && !lost)
		r = change_read(db, call, &l);
	else if (key)
		r = sql_variable_load(db, call, key, true,
				      &call->result.changes.now);
	call->result.message = NULL;
	return MIN(r, 0);
}
