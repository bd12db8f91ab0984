#include "backend/db_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "backend/db_sqlite_impl.h"
#include "backend/migrate.h"
#include "common/buf.h"

#define SQLITE_DAMAGED                                            \
	"the database is damaged; stop the backend and mend it: " \
	"docs/mending.md"
#define SQLITE_BUSY_TIMEOUT_MS 10000 /* somebody looks with sqlite3(1) */

/* ----------------------------------------------------------------- errors */

static int sqlite_errno(sqlite3 *handle, int code)
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
		return handle && sqlite3_system_errno(handle) == ENOSPC
			       ? -ENOSPC
			       : -EIO;
	default:
		return -EIO;
	}
}

static const char *sqlite_advice(int r, int code)
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
		return SQLITE_DAMAGED;
	if ((code & 0xff) == SQLITE_IOERR)
		return "the disk fails: see the system's log";
	return "the database refused the operation";
}

int sqlite_error(struct db *db, int code)
{
	sqlite3 *handle = sqlite_of(db) ? sqlite_of(db)->handle : NULL;
	int r = sqlite_errno(handle, code);

	/* Who goes on writing to it damages more. */
	if ((code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB)
		db->failed = SQLITE_DAMAGED;
	snprintf(db->message, sizeof(db->message), "%s: %s (SQLite: %s)",
		 db->name, sqlite_advice(r, code),
		 handle ? sqlite3_errmsg(handle) : sqlite3_errstr(code));
	return r;
}

/* ------------------------------------------------------------- connection */

/*
 * SQLite gives its other files (-wal, -shm) the mode of the first. A file that
 * is there is not opened here: closing any descriptor of it would give up
 * SQLite's locks, which are the process's, and whoever then looks at it with
 * sqlite3(1) takes the backend's log for left over, and removes it.
 */
static int sqlite_make_file(struct db *db)
{
	_cleanup_close_ int fd =
		open(db->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct stat st;
	int r;

	if (fd >= 0)
		return 0;
	/* SQLite would open what it may not write to for reading alone. */
	if (errno == EEXIST && access(db->name, R_OK | W_OK) == 0 &&
	    stat(db->name, &st) == 0 &&
	    (!(st.st_mode & 077) || chmod(db->name, 0600) == 0))
		return 0;
	r = -errno;
	snprintf(db->message, sizeof(db->message), "cannot open %s: %s",
		 db->name, strerror(-r));
	return r;
}

/* SQLite keeps another journal, without an error, where the file system
 * cannot share memory. */
static int sqlite_check_wal(struct db *db)
{
	struct db_row *row;
	int r = db_query(db, "PRAGMA journal_mode", DB_NO_ARGS, &row);
	const char *mode = r ? NULL : db_column_data(row, 0);

	if (r == 0 && (!mode || strcmp(mode, "wal") != 0)) {
		snprintf(db->message, sizeof(db->message),
			 "%s: its file system cannot hold a write-ahead log "
			 "(is it a network one?); choose a --data-dir on a "
			 "local disk",
			 db->name);
		r = -ENOTSUP;
	}
	db_reset(db);
	return r;
}

static int sqlite_configure(struct db *db)
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
	int r;

	sqlite3_extended_result_codes(sqlite_of(db)->handle, 1);
	sqlite3_busy_timeout(sqlite_of(db)->handle, SQLITE_BUSY_TIMEOUT_MS);
	r = db_script(db, pragmas);
	return r < 0 ? r : sqlite_check_wal(db);
}

int db_sqlite_open(struct db *db, const char *path, const struct vault *vault)
{
	int code, r;

	*db = (struct db){ .driver = &db_sqlite, .name = path, .vault = vault };
	r = sqlite_make_file(db);
	if (r < 0)
		return r;
	db->connection = calloc(1, sizeof(struct sqlite_connection));
	if (!db->connection)
		return sqlite_error(db, SQLITE_NOMEM);
	code = sqlite3_open_v2(path, &sqlite_of(db)->handle,
			       SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
			       NULL);
	if (code != SQLITE_OK)
		return sqlite_error(db, code);
	return sqlite_configure(db);
}

static void sqlite_close(struct db *db)
{
	if (!db->connection)
		return;
	sqlite_statements_free(db);
	sqlite3_close(sqlite_of(db)->handle);
	free(db->connection);
}

/* ----------------------------------------------------------- transactions */

static int sqlite_begin(struct db *db, enum db_begin how)
{
	return how == DB_READ ? db_exec(db, "BEGIN", DB_NO_ARGS)
			      : db_exec(db, "BEGIN IMMEDIATE", DB_NO_ARGS);
}

/*
 * After a failed fsync the kernel may have dropped the pages, so that a later
 * fsync would succeed without them. Only a fresh start reads what is really
 * on the disk.
 */
static int sqlite_commit(struct db *db)
{
	int r = db_exec(db, "COMMIT", DB_NO_ARGS);
	int code = sqlite3_extended_errcode(sqlite_of(db)->handle);

	if (r < 0 &&
	    (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC))
		db->failed = "the disk failed to store what it was given; "
			     "restart the backend once the disk is mended";
	return r;
}

/* Errors do not matter: closing the file rolls back, too. */
static void sqlite_rollback(struct db *db)
{
	sqlite3 *handle = sqlite_of(db)->handle;

	if (!sqlite3_get_autocommit(handle))
		sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
}

static bool sqlite_in_transaction(struct db *db)
{
	return !sqlite3_get_autocommit(sqlite_of(db)->handle);
}

/* ----------------------------------------------------------------- schema */

static int sqlite_get_version(struct db *db, int *version)
{
	int64_t n = 0;
	int r = db_query_int(db, "PRAGMA user_version", DB_NO_ARGS, &n);

	*version = (int)n;
	db_reset(db);
	return r;
}

static int sqlite_set_version(struct db *db, int version)
{
	char pragma[64];

	snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %d", version);
	return db_script(db, pragma);
}

/* sign_script(BLOB): TEXT, or NULL where nobody signs. */
static void sqlite_sign_script(sqlite3_context *ctx, int n UNUSED,
			       sqlite3_value **values)
{
	const struct store_config *config = sqlite3_user_data(ctx);
	_cleanup_(buf_deinit) struct buf signature = { 0 };
	const void *script = sqlite3_value_blob(values[0]);

	if (!script || !config->sign)
		return;
	if (config->sign(config->signer, script,
			 (size_t)sqlite3_value_bytes(values[0]), &signature))
		sqlite3_result_error_nomem(ctx);
	else
		sqlite3_result_text(ctx, (const char *)signature.data,
				    (int)signature.len, SQLITE_TRANSIENT);
}

/* config is the caller's: nobody is to come back to it later. */
static int sqlite_migrate(struct db *db, const struct store_config *config)
{
	sqlite3 *handle = sqlite_of(db)->handle;
	int code, r;

	code = sqlite3_create_function(handle, "sign_script", 1,
				       SQLITE_UTF8 | SQLITE_DIRECTONLY,
				       (void *)(uintptr_t)config,
				       sqlite_sign_script, NULL, NULL);
	if (code != SQLITE_OK)
		return sqlite_error(db, code);
	r = migrate(db);
	sqlite3_create_function(handle, "sign_script", 1, SQLITE_UTF8, NULL,
				NULL, NULL, NULL);
	return r;
}

const struct db_driver db_sqlite = {
	.dialect = DB_SQLITE,
	.migrations = migrations_sqlite,
	.get_version = sqlite_get_version,
	.set_version = sqlite_set_version,
	.migrate = sqlite_migrate,
	.begin = sqlite_begin,
	.commit = sqlite_commit,
	.rollback = sqlite_rollback,
	.in_transaction = sqlite_in_transaction,
	.query = sqlite_query,
	.next = sqlite_next,
	.exec = sqlite_exec,
	.script = sqlite_script,
	.changes = sqlite_changes,
	.reset = sqlite_reset,
	.close = sqlite_close,
	.column_count = sqlite_row_count,
	.column_is_null = sqlite_row_is_null,
	.column_int = sqlite_row_int,
	.column_data = sqlite_row_data,
};
