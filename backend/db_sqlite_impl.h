/* What db_sqlite*.c share. */
#pragma once

#include <sqlite3.h>
#include <uthash.h>

#include "backend/db.h"

struct sqlite_statement {
	struct db_row row;
	const char *sql;
	sqlite3_stmt *stmt;
	bool in_use;
	struct sqlite_statement *next; /* of those in use */
	UT_hash_handle hh;
};

struct sqlite_connection {
	sqlite3 *handle;
	struct sqlite_statement *statements; /* by the address of their text */
	struct sqlite_statement *active;     /* to be reset */
};

static inline struct sqlite_connection *sqlite_of(const struct db *db)
{
	return db->connection;
}

/* Notes an error of SQLite; returns it as negative errno. */
int sqlite_error(struct db *db, int code);

/* Of struct db_driver. */
int sqlite_query(struct db *db, const char *sql, const struct db_arg *args,
		 struct db_row **row) MUST_CHECK;
int sqlite_next(struct db *db, struct db_row *row) MUST_CHECK;
int sqlite_exec(struct db *db, const char *sql,
		const struct db_arg *args) MUST_CHECK;
int sqlite_script(struct db *db, const char *sql) MUST_CHECK;
int64_t sqlite_changes(struct db *db);
void sqlite_reset(struct db *db);
void sqlite_statements_free(struct db *db);
int sqlite_row_count(struct db_row *row);
bool sqlite_row_is_null(struct db_row *row, int i);
int64_t sqlite_row_int(struct db_row *row, int i);
bool sqlite_row_data(struct db_row *row, int i, const void **data,
		     size_t *len) MUST_CHECK;
