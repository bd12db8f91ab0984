#include "backend/db.h"

#include <errno.h>
#include <stdio.h>

#include "backend/arena.h"

void db_close(struct db *db)
{
	if (db->driver)
		db->driver->close(db);
	db->connection = NULL;
}

/* ----------------------------------------------------------- transactions */

int db_begin(struct db *db, enum db_begin how)
{
	db->writing = how != DB_READ;
	return db->driver->begin(db, how);
}

int db_commit(struct db *db)
{
	return db->driver->commit(db);
}

void db_rollback(struct db *db)
{
	db_reset(db);
	db->driver->rollback(db);
}

bool db_in_transaction(struct db *db)
{
	return db->driver->in_transaction(db);
}

int db_savepoint(struct db *db)
{
	return db_exec(db, "SAVEPOINT call", DB_NO_ARGS);
}

int db_savepoint_undo(struct db *db)
{
	return db_exec(db, "ROLLBACK TO call", DB_NO_ARGS);
}

int db_savepoint_release(struct db *db)
{
	return db_exec(db, "RELEASE call", DB_NO_ARGS);
}

/* ------------------------------------------------------------- statements */

int db_query(struct db *db, const char *sql, const struct db_arg *args,
	     struct db_row **row)
{
	return db->driver->query(db, sql, args, row);
}

int db_next(struct db *db, struct db_row *row)
{
	return db->driver->next(db, row);
}

int db_query_int(struct db *db, const char *sql, const struct db_arg *args,
		 int64_t *out)
{
	struct db_row *row;
	int r = db_query(db, sql, args, &row);

	if (r == STORE_E_NOT_FOUND)
		return -EIO;
	if (r < 0)
		return r;
	*out = db_column_int64(row, 0);
	/* One with RETURNING is done when it has no more rows. */
	r = db_next(db, row);
	return MIN(r, 0);
}

int db_exec(struct db *db, const char *sql, const struct db_arg *args)
{
	return db->driver->exec(db, sql, args);
}

int db_lock(struct db *db, const struct db_sql *sql, const struct db_arg *args)
{
	const char *text = db_text(db, sql);

	return text && db->writing ? db_exec(db, text, args) : 0;
}

int db_script(struct db *db, const char *sql)
{
	return db->driver->script(db, sql);
}

int64_t db_changes(struct db *db)
{
	return db->driver->changes(db);
}

void db_reset(struct db *db)
{
	db->driver->reset(db);
}

int db_notify(struct db *db, const char *kind, const char *id, int64_t number)
{
	if (!db->driver->notify)
		return 0;
	return db->driver->notify(db, kind, id, number);
}

/* ---------------------------------------------------------------- columns */

static const struct db_driver *row_driver(const struct db_row *row)
{
	return row->db->driver;
}

int db_column_count(struct db_row *row)
{
	return row_driver(row)->column_count(row);
}

bool db_column_is_null(struct db_row *row, int i)
{
	return row_driver(row)->column_is_null(row, i);
}

int64_t db_column_int64(struct db_row *row, int i)
{
	return row_driver(row)->column_int(row, i);
}

int db_column_int(struct db_row *row, int i)
{
	return (int)db_column_int64(row, i);
}

const void *db_column_data(struct db_row *row, int i)
{
	const void *data;
	size_t len;

	return row_driver(row)->column_data(row, i, &data, &len) ? data : NULL;
}

size_t db_column_len(struct db_row *row, int i)
{
	const void *data;
	size_t len;

	return row_driver(row)->column_data(row, i, &data, &len) ? len : 0;
}

struct store_blob db_column_blob(struct db_row *row, int i, struct arena *a)
{
	struct store_blob b = { NULL, 0 };
	const void *data;

	if (!row_driver(row)->column_data(row, i, &data, &b.len))
		a->failed = true;
	else if (data)
		b.data = arena_dup(a, data, b.len);
	return b;
}

const char *db_column_str(struct db_row *row, int i, struct arena *a)
{
	return db_column_blob(row, i, a).data; /* with its NUL: arena_dup() */
}
