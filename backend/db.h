/*
 * One connection to the database, used by one thread: statements by their
 * text, arguments, rows, and errors as sentences. What databases have in
 * common is here; a driver (db_sqlite.c) is a const table of functions.
 *
 * SQL is written once for all of them, in what they share: ?1, ?2 … for
 * arguments, IS NOT DISTINCT FROM, ON CONFLICT (columns) DO UPDATE, numbers
 * where a truth is meant (secret <> 0), names that are reserved somewhere in
 * quotes. Where a statement must differ, struct db_sql has a text for each.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "backend/store.h"
#include "backend/store_url.h"
#include "common/clock.h"
#include "common/macro.h"

#define DB_MESSAGE_MAX_BYTES 512

struct arena;
struct db;
struct db_driver;
struct migration;

/* Where the result of a statement stands. Drivers embed it first. */
struct db_row {
	struct db *db;
};

enum db_arg_type { DB_END, DB_NULL, DB_INT, DB_STR, DB_BLOB };
struct db_arg {
	enum db_arg_type type;
	int64_t integer;
	const void *data;
	size_t len;
};

enum db_dialect { DB_SQLITE, DB_POSTGRES, DB_DIALECTS };
struct db_sql {
	const char *text[DB_DIALECTS]; /* NULL: nothing to do there */
};

enum db_begin {
	DB_READ, /* one snapshot for all that is read */
	DB_WRITE,
	DB_MIGRATE, /* alone */
};

/*
 * Functions as those of the same names below. Returns are negative errno with
 * db->message set, unless said otherwise.
 */
struct db_driver {
	enum db_dialect dialect;
	const struct migration *migrations; /* {0} ends them */
	/* The schema's version, 0 for an empty database. */
	int (*get_version)(struct db *db, int *version);
	int (*set_version)(struct db *db, int version);
	/* Runs migrate(), with what its steps need. */
	int (*migrate)(struct db *db, const struct store_config *config);

	int (*begin)(struct db *db, enum db_begin how);
	int (*commit)(struct db *db);
	void (*rollback)(struct db *db);
	bool (*in_transaction)(struct db *db);

	int (*query)(struct db *db, const char *sql, const struct db_arg *args,
		     struct db_row **row);
	int (*next)(struct db *db, struct db_row *row);
	int (*exec)(struct db *db, const char *sql, const struct db_arg *args);
	int (*script)(struct db *db, const char *sql);
	int64_t (*changes)(struct db *db);
	/* NULL where nobody else can be told. */
	int (*notify)(struct db *db, const char *kind, const char *id,
		      int64_t number);
	void (*reset)(struct db *db);
	void (*close)(struct db *db);

	int (*column_count)(struct db_row *row);
	bool (*column_is_null)(struct db_row *row, int i);
	int64_t (*column_int)(struct db_row *row, int i);
	/* NULL with *len 0 for an SQL NULL; else never NULL, unless memory ran
	 * out: false. */
	bool (*column_data)(struct db_row *row, int i, const void **data,
			    size_t *len);
};

struct db {
	const struct db_driver *driver;
	void *connection; /* the driver's */
	const char *name; /* for people: of the database, without secrets */
	const struct vault *vault;
	/* Set by the driver, to the reason: what is stored cannot be trusted
	 * any more. Until a fresh start nothing is acknowledged. */
	const char *failed;
	/* By clock_mono_ms(), when it was last connected to in vain; 0: it is
	 * connected. Other threads may look. */
	_Atomic uint64_t away_ms;
	/* What the database's clock is ahead of ours; 0 where it is ours. */
	int64_t clock_offset_ms;
	struct store_place place; /* of the last connection, if to a server */
	bool writing;             /* this transaction may change something */
	char message[DB_MESSAGE_MAX_BYTES];
};

/* ------------------------------------------------------------ connection */

/* Frees the connection. A db that is all zero is fine. */
void db_close(struct db *db);

static inline const char *db_text(const struct db *db, const struct db_sql *sql)
{
	return sql->text[db->driver->dialect];
}

/* For leases and waits, in ms since the Unix epoch: the clock of all who use
 * this database. */
static inline int64_t db_now_ms(const struct db *db)
{
	return clock_steady_ms() + db->clock_offset_ms;
}

/* ---------------------------------------------------------- transactions */

/* 0 or negative errno; -EBUSY when another program keeps it locked. */
int db_begin(struct db *db, enum db_begin how) MUST_CHECK;
/* On failure db_rollback() is still to be called. */
int db_commit(struct db *db) MUST_CHECK;
/* Outside of a transaction: does nothing. */
void db_rollback(struct db *db);
/* False once an error has ended it, whatever was asked for. */
bool db_in_transaction(struct db *db);

/* One level below a transaction. */
int db_savepoint(struct db *db) MUST_CHECK;
int db_savepoint_undo(struct db *db) MUST_CHECK;
int db_savepoint_release(struct db *db) MUST_CHECK;

/* ------------------------------------------------------------- arguments */

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

/* NULL where there is no data. */
static inline struct db_arg db_blob_or_null(const struct store_blob *b)
{
	return (struct db_arg){ .type = b->data ? DB_BLOB : DB_NULL,
				.data = b->data,
				.len = b->len };
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

/* ------------------------------------------------------------ statements */

/*
 * Runs a statement up to its first row. sql is a constant: its address is its
 * identity. 0 with the row in *row, STORE_E_NOT_FOUND when there is none, or
 * negative errno. Rows are valid until the same sql is run again, or
 * db_reset().
 */
int db_query(struct db *db, const char *sql, const struct db_arg *args,
	     struct db_row **row) MUST_CHECK;
/* The next row: as db_query(). */
int db_next(struct db *db, struct db_row *row) MUST_CHECK;
/* Runs a statement that gives one row with one number; -EIO where it does
 * not. */
int db_query_int(struct db *db, const char *sql, const struct db_arg *args,
		 int64_t *out) MUST_CHECK;
/* Runs a statement that gives no rows. 0 or negative errno, which may also
 * come from what is run next, or from db_commit(). */
int db_exec(struct db *db, const char *sql,
	    const struct db_arg *args) MUST_CHECK;
/* The same, of a lock, where this database needs one (sql has a text for it)
 * and the transaction writes. */
int db_lock(struct db *db, const struct db_sql *sql,
	    const struct db_arg *args) MUST_CHECK;
/* Runs statements without arguments, split by ';'. */
int db_script(struct db *db, const char *sql) MUST_CHECK;
/* How many rows the last db_exec() has changed; negative errno. */
int64_t db_changes(struct db *db) MUST_CHECK;
/* Ends every statement that is still in use. */
void db_reset(struct db *db);

/* Tells other backends, once this transaction is committed: store_listen.h. */
int db_notify(struct db *db, const char *kind, const char *id,
	      int64_t number) MUST_CHECK;

/* --------------------------------------------------------------- columns */

int db_column_count(struct db_row *row);
bool db_column_is_null(struct db_row *row, int i);
int db_column_int(struct db_row *row, int i); /* 0 for an SQL NULL */
int64_t db_column_int64(struct db_row *row, int i);
/* As long as the row. NULL for an SQL NULL, and when memory ran out. */
const void *db_column_data(struct db_row *row, int i);
size_t db_column_len(struct db_row *row, int i);
/* Copied. NULL, and data == NULL, for an SQL NULL. */
const char *db_column_str(struct db_row *row, int i, struct arena *a);
struct store_blob db_column_blob(struct db_row *row, int i, struct arena *a);
