/*
 * One connection to the SQLite database, used by one thread: prepared
 * statements by their text, arguments, rows, and errors as sentences.
 */
#pragma once

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "backend/store.h"
#include "common/macro.h"

#define DB_MESSAGE_MAX_BYTES 512

struct arena;
struct db_statement;

struct db {
	sqlite3 *handle;
	const char *path;
	const struct vault *vault;
	struct db_statement *statements; /* by the address of their text */
	struct db_statement *active;     /* to be reset */
	int code;                        /* SQLite's, of the last error */
	char message[DB_MESSAGE_MAX_BYTES];
};

/* Opens a connection, making the file (0600) where it is missing. path and
 * vault outlive it. On failure the message is set, and db_close() is still to
 * be called. */
int db_open(struct db *db, const char *path,
	    const struct vault *vault) MUST_CHECK;
void db_close(struct db *db);

/* Notes an error of SQLite; returns it as negative errno. */
int db_error(struct db *db, int code);

enum db_arg_type { DB_END, DB_NULL, DB_INT, DB_STR, DB_BLOB };
struct db_arg {
	enum db_arg_type type;
	int64_t integer;
	const void *data;
	size_t len;
};

static inline struct db_arg db_int(int64_t value)
{
	return (struct db_arg){ .type = DB_INT, .integer = value };
}

static inline struct db_arg db_str(const char *s) /* NULL is NULL */
{
	return (struct db_arg){ .type = s ? DB_STR : DB_NULL,
				.data = s,
				.len = s ? strlen(s) : 0 };
}

static inline struct db_arg db_blob(const void *data, size_t len)
{
	return (struct db_arg){ .type = DB_BLOB, .data = data, .len = len };
}

static inline struct db_arg db_null(void)
{
	return (struct db_arg){ .type = DB_NULL };
}

/* Values of ?1, ?2, … in order; what they point to outlives the statement's
 * use. */
#define DB_ARGS(...) \
	((const struct db_arg[]){ __VA_ARGS__, { .type = DB_END } })
#define DB_NO_ARGS ((const struct db_arg[]){ { .type = DB_END } })

/*
 * Runs a statement up to its first row. sql is a constant: its address is its
 * identity. 0 with the row in *row, STORE_E_NOT_FOUND when there is none, or
 * negative errno. Rows are valid until the same sql is run again, or
 * db_reset().
 */
int db_query(struct db *db, const char *sql, const struct db_arg *args,
	     sqlite3_stmt **row) MUST_CHECK;
/* The next row: as db_query(). */
int db_next(struct db *db, sqlite3_stmt *row) MUST_CHECK;
/* Runs a statement that gives no rows. 0 or negative errno. */
int db_exec(struct db *db, const char *sql,
	    const struct db_arg *args) MUST_CHECK;
/* Ends every statement that is still in use. */
void db_reset(struct db *db);

/* Columns, copied. NULL, and data == NULL, for an SQL NULL. */
const char *db_column_str(sqlite3_stmt *row, int i, struct arena *a);
struct store_blob db_column_blob(sqlite3_stmt *row, int i, struct arena *a);
