#include "backend/store_sqlite_db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <uthash.h>

#include "backend/arena.h"

#define DB_BUSY_TIMEOUT_MS 10000 /* somebody looks with sqlite3(1) */

struct db_statement {
	const char *sql;
	sqlite3_stmt *stmt;
	bool in_use;
	struct db_statement *next; /* of those in use */
	UT_hash_handle hh;
};

/* ----------------------------------------------------------------- errors */

static int db_errno(struct db *db, int code)
{
	switch (code & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_TOOBIG:
		return -E2BIG;
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		return -EROFS;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_IOERR:
		return db->handle && sqlite3_system_errno(db->handle) == ENOSPC
			       ? -ENOSPC
			       : -EIO;
	default:
		return -EIO;
	}
}

static const char *db_advice(int r, int code)
{
	switch (r) {
	case -ENOSPC:
		return "the disk is full";
	case -ENOMEM:
		return "out of memory";
	case -E2BIG:
		return "a value is too big for the database";
	case -EROFS:
		return "it cannot be written to; check the owner and the mode "
		       "of the file and of its directory";
	case -EBUSY:
		return "another program keeps it locked";
	default:
		break;
	}
	if ((code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB)
		return "the database is damaged; stop the backend and restore "
		       "the file from a backup";
	if ((code & 0xff) == SQLITE_IOERR)
		return "the disk fails: see the system's log";
	return "the database refused the operation";
}

int db_error(struct db *db, int code)
{
	int r = db_errno(db, code);

	db->code = code;
	snprintf(db->message, sizeof(db->message), "%s: %s (SQLite: %s)",
		 db->path, db_advice(r, code),
		 db->handle ? sqlite3_errmsg(db->handle)
			    : sqlite3_errstr(code));
	return r;
}

/* ------------------------------------------------------------- connection */

/* SQLite gives its other files (-wal, -shm) the mode of the first. */
static int db_make_file(struct db *db)
{
	_cleanup_close_ int fd = open(db->path, O_RDWR | O_CREAT | O_CLOEXEC,
				      0600);
	struct stat st;
	int r;

	if (fd >= 0 && fstat(fd, &st) == 0 && !(st.st_mode & 077))
		return 0;
	if (fd >= 0 && fchmod(fd, 0600) == 0)
		return 0;
	r = -errno;
	snprintf(db->message, sizeof(db->message), "cannot open %s: %s",
		 db->path, strerror(-r));
	return r;
}

/* SQLite keeps another journal, without an error, where the file system
 * cannot share memory. */
static int db_check_wal(struct db *db)
{
	sqlite3_stmt *row;
	int r = db_query(db, "PRAGMA journal_mode", DB_NO_ARGS, &row);
	const char *mode = r ? NULL : (char *)sqlite3_column_text(row, 0);

	if (r == 0 && (!mode || strcmp(mode, "wal") != 0)) {
		snprintf(db->message, sizeof(db->message),
			 "%s: its file system cannot hold a write-ahead log "
			 "(is it a network one?); choose a --data-dir on a "
			 "local disk",
			 db->path);
		r = -ENOTSUP;
	}
	db_reset(db);
	return r;
}

static int db_configure(struct db *db)
{
	static const char pragmas[] =
		"PRAGMA journal_mode = WAL;"
		"PRAGMA synchronous = FULL;"
		"PRAGMA foreign_keys = ON;"
		"PRAGMA trusted_schema = OFF;"
		"PRAGMA cell_size_check = ON;"
		"PRAGMA secure_delete = ON;" /* once not secret, now secret */
		"PRAGMA temp_store = MEMORY;"
		"PRAGMA cache_size = -16384;"       /* KiB */
		"PRAGMA wal_autocheckpoint = 4000;" /* pages: 16 MB */
		"PRAGMA journal_size_limit = 67108864;";
	int code;

	sqlite3_extended_result_codes(db->handle, 1);
	sqlite3_busy_timeout(db->handle, DB_BUSY_TIMEOUT_MS);
	code = sqlite3_exec(db->handle, pragmas, NULL, NULL, NULL);
	return code == SQLITE_OK ? db_check_wal(db) : db_error(db, code);
}

int db_open(struct db *db, const char *path, const struct vault *vault)
{
	int code, r;

	*db = (struct db){ .path = path, .vault = vault };
	r = db_make_file(db);
	if (r < 0)
		return r;
	code = sqlite3_open_v2(path, &db->handle,
			       SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
			       NULL);
	if (code != SQLITE_OK)
		return db_error(db, code);
	return db_configure(db);
}

void db_close(struct db *db)
{
	struct db_statement *s, *next;

	HASH_ITER(hh, db->statements, s, next)
	{
		HASH_DEL(db->statements, s);
		sqlite3_finalize(s->stmt);
		free(s);
	}
	db->active = NULL;
	if (db->handle)
		sqlite3_close(db->handle);
	db->handle = NULL;
}

/* ------------------------------------------------------------- statements */

static int db_compile(struct db *db, const char *sql, struct db_statement **out)
{
	struct db_statement *s = calloc(1, sizeof(*s));
	int code = SQLITE_NOMEM;

	if (s) {
		s->sql = sql;
		code = sqlite3_prepare_v3(db->handle, sql, -1,
					  SQLITE_PREPARE_PERSISTENT, &s->stmt,
					  NULL);
	}
	if (code == SQLITE_OK) {
		HASH_ADD_PTR(db->statements, sql, s);
		if (s->hh.tbl) {
			*out = s;
			return 0;
		}
		sqlite3_finalize(s->stmt);
		code = SQLITE_NOMEM;
	}
	free(s);
	return db_error(db, code);
}

static int db_prepare(struct db *db, const char *sql, struct db_statement **out)
{
	struct db_statement *s;
	int r = 0;

	HASH_FIND_PTR(db->statements, &sql, s);
	if (!s)
		r = db_compile(db, sql, &s);
	if (r < 0)
		return r;
	sqlite3_reset(s->stmt);
	if (!s->in_use) {
		s->in_use = true;
		s->next = db->active;
		db->active = s;
	}
	*out = s;
	return 0;
}

static int db_bind(sqlite3_stmt *stmt, int i, const struct db_arg *arg)
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

int db_next(struct db *db, sqlite3_stmt *row)
{
	switch (sqlite3_step(row)) {
	case SQLITE_ROW:
		return 0;
	case SQLITE_DONE:
		return STORE_E_NOT_FOUND;
	default:
		return db_error(db, sqlite3_extended_errcode(db->handle));
	}
}

int db_query(struct db *db, const char *sql, const struct db_arg *args,
	     sqlite3_stmt **row)
{
	struct db_statement *s = NULL;
	int code, r;

	r = db_prepare(db, sql, &s);
	if (r < 0)
		return r;
	for (int i = 0; args[i].type != DB_END; i++) {
		code = db_bind(s->stmt, i + 1, &args[i]);
		if (code != SQLITE_OK)
			return db_error(db, code);
	}
	*row = s->stmt;
	return db_next(db, s->stmt);
}

int db_exec(struct db *db, const char *sql, const struct db_arg *args)
{
	sqlite3_stmt *row;
	int r = db_query(db, sql, args, &row);

	if (r < 0)
		return r;
	sqlite3_reset(row);
	return 0;
}

void db_reset(struct db *db)
{
	while (db->active) {
		struct db_statement *s = db->active;

		db->active = s->next;
		s->in_use = false;
		sqlite3_reset(s->stmt);
		/* What was bound goes away with its call. */
		sqlite3_clear_bindings(s->stmt);
	}
}

/* ---------------------------------------------------------------- columns */

const char *db_column_str(sqlite3_stmt *row, int i, struct arena *a)
{
	return arena_strdup(a, (const char *)sqlite3_column_text(row, i));
}

struct store_blob db_column_blob(sqlite3_stmt *row, int i, struct arena *a)
{
	struct store_blob b = { NULL, 0 };
	const void *data;

	if (sqlite3_column_type(row, i) == SQLITE_NULL)
		return b;
	data = sqlite3_column_blob(row, i);
	if (!data && sqlite3_errcode(sqlite3_db_handle(row)) == SQLITE_NOMEM)
		a->failed = true;
	b.len = (size_t)sqlite3_column_bytes(row, i);
	b.data = arena_dup(a, data ? data : "", b.len);
	return b;
}
