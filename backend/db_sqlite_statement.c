/* SQLite's statements and rows. */
#include <stdlib.h>

#include "backend/db_sqlite_impl.h"

/* ------------------------------------------------------------- statements */

static int sqlite_compile(struct db *db, const char *sql,
			  struct sqlite_statement **out)
{
	struct sqlite_statement *s = calloc(1, sizeof(*s));
	int code = SQLITE_NOMEM;

	if (s) {
		s->row.db = db;
		s->sql = sql;
		code = sqlite3_prepare_v3(sqlite_of(db)->handle, sql, -1,
					  SQLITE_PREPARE_PERSISTENT, &s->stmt,
					  NULL);
	}
	if (code == SQLITE_OK) {
		HASH_ADD_PTR(sqlite_of(db)->statements, sql, s);
		if (s->hh.tbl) {
			*out = s;
			return 0;
		}
		sqlite3_finalize(s->stmt);
		code = SQLITE_NOMEM;
	}
	free(s);
	return sqlite_error(db, code);
}

static int sqlite_prepare(struct db *db, const char *sql,
			  struct sqlite_statement **out)
{
	struct sqlite_statement *s;
	int r = 0;

	HASH_FIND_PTR(sqlite_of(db)->statements, &sql, s);
	if (!s)
		r = sqlite_compile(db, sql, &s);
	if (r < 0)
		return r;
	sqlite3_reset(s->stmt);
	if (!s->in_use) {
		s->in_use = true;
		s->next = sqlite_of(db)->active;
		sqlite_of(db)->active = s;
	}
	*out = s;
	return 0;
}

static int sqlite_bind(sqlite3_stmt *stmt, int i, const struct db_arg *arg)
{
	switch (arg->type) {
	case DB_INT:
		return sqlite3_bind_int64(stmt, i, arg->integer);
	case DB_STR:
		return sqlite3_bind_text64(stmt, i, arg->data, arg->len,
					   SQLITE_STATIC, SQLITE_UTF8);
	case DB_BLOB:
		if (!arg->len)
			return sqlite3_bind_zeroblob(stmt, i, 0);
		return sqlite3_bind_blob64(stmt, i, arg->data, arg->len,
					   SQLITE_STATIC);
	default:
		return sqlite3_bind_null(stmt, i);
	}
}

static int sqlite_step(struct db *db, struct sqlite_statement *s)
{
	switch (sqlite3_step(s->stmt)) {
	case SQLITE_ROW:
		return 0;
	case SQLITE_DONE:
		return STORE_E_NOT_FOUND;
	default:
		return sqlite_error(db, sqlite3_extended_errcode(
						sqlite_of(db)->handle));
	}
}

static int sqlite_start(struct db *db, const char *sql,
			const struct db_arg *args,
			struct sqlite_statement **out)
{
	int code, r = sqlite_prepare(db, sql, out);

	if (r < 0)
		return r;
	for (int i = 0; args[i].type != DB_END; i++) {
		code = sqlite_bind((*out)->stmt, i + 1, &args[i]);
		if (code != SQLITE_OK)
			return sqlite_error(db, code);
	}
	return sqlite_step(db, *out);
}

int sqlite_query(struct db *db, const char *sql, const struct db_arg *args,
		 struct db_row **row)
{
	struct sqlite_statement *s = NULL;
	int r = sqlite_start(db, sql, args, &s);

	if (r == 0)
		*row = &s->row;
	return r;
}

int sqlite_next(struct db *db, struct db_row *row)
{
	return sqlite_step(db, (struct sqlite_statement *)row);
}

int sqlite_exec(struct db *db, const char *sql, const struct db_arg *args)
{
	struct sqlite_statement *s = NULL;
	int r = sqlite_start(db, sql, args, &s);

	if (r < 0)
		return r;
	sqlite3_reset(s->stmt);
	return 0;
}

int sqlite_script(struct db *db, const char *sql)
{
	int code = sqlite3_exec(sqlite_of(db)->handle, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : sqlite_error(db, code);
}

int64_t sqlite_changes(struct db *db)
{
	return sqlite3_changes(sqlite_of(db)->handle);
}

void sqlite_reset(struct db *db)
{
	while (sqlite_of(db)->active) {
		struct sqlite_statement *s = sqlite_of(db)->active;

		sqlite_of(db)->active = s->next;
		s->in_use = false;
		sqlite3_reset(s->stmt);
		/* What was bound goes away with its call. */
		sqlite3_clear_bindings(s->stmt);
	}
}

void sqlite_statements_free(struct db *db)
{
	struct sqlite_statement *s, *next;

	HASH_ITER(hh, sqlite_of(db)->statements, s, next)
	{
		HASH_DEL(sqlite_of(db)->statements, s);
		sqlite3_finalize(s->stmt);
		free(s);
	}
	sqlite_of(db)->active = NULL;
}

/* ---------------------------------------------------------------- columns */

static sqlite3_stmt *sqlite_stmt(struct db_row *row)
{
	return ((struct sqlite_statement *)row)->stmt;
}

int sqlite_row_count(struct db_row *row)
{
	return sqlite3_column_count(sqlite_stmt(row));
}

bool sqlite_row_is_null(struct db_row *row, int i)
{
	return sqlite3_column_type(sqlite_stmt(row), i) == SQLITE_NULL;
}

int64_t sqlite_row_int(struct db_row *row, int i)
{
	return sqlite3_column_int64(sqlite_stmt(row), i);
}

bool sqlite_row_data(struct db_row *row, int i, const void **data, size_t *len)
{
	sqlite3_stmt *stmt = sqlite_stmt(row);

	*len = 0;
	*data = NULL;
	if (sqlite3_column_type(stmt, i) == SQLITE_NULL)
		return true;
	*data = sqlite3_column_blob(stmt, i);
	if (!*data && sqlite3_errcode(sqlite3_db_handle(stmt)) == SQLITE_NOMEM)
		return false;
	*len = (size_t)sqlite3_column_bytes(stmt, i);
	if (!*data)
		*data = "";
	return true;
}
