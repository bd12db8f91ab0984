#include "backend/db_postgres.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend/db_postgres_impl.h"
#include "backend/migrate.h"
#include "common/clock.h"

#define WRITERS_KEPT_MS (INT64_C(7) * 24 * 3600 * 1000)

/* ------------------------------------------------------------- connection */

int db_postgres_open(struct db *db, const struct store_url *url,
		     const struct vault *vault,
		     const struct db_postgres_who *who)
{
	struct postgres_connection *c = calloc(1, sizeof(*c));

	*db = (struct db){ .driver = &db_postgres,
			   .connection = c,
			   .name = url->name,
			   .vault = vault };
	if (!c) {
		snprintf(db->message, sizeof(db->message), "out of memory");
		return -ENOMEM;
	}
	c->url = url;
	c->who = *who;
	return postgres_connect(db);
}

static void postgres_close(struct db *db)
{
	if (!db->connection)
		return;
	postgres_disconnect(db);
	postgres_statements_free(db);
	free(db->connection);
}

/* -------------------------------------------------------- unknown commits */

/* Ends what is left of our own session: it may hold locks, and must not commit
 * any more once we have looked. */
static int resolve_end_session(struct db *db)
{
	return db_exec(db,
		       "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
		       "WHERE application_name = "
		       "current_setting('application_name') "
		       "AND usename = current_user "
		       "AND pid <> pg_backend_pid()",
		       DB_NO_ARGS);
}

/* Waits for the row where a transaction has it. */
static int resolve_ask(struct db *db, int64_t *batch)
{
	struct postgres_connection *c = postgres_of(db);
	int r = postgres_connect(db);

	c->r = r;
	if (r == 0)
		r = db_exec(db, "BEGIN", DB_NO_ARGS);
	if (r == 0)
		r = resolve_end_session(db);
	if (r == 0)
		r = db_query_int(db,
				 "SELECT batch FROM writers "
				 "WHERE instance = ?1 FOR UPDATE",
				 DB_ARGS(db_str(c->who.instance)), batch);
	db_reset(db);
	if (c->link) {
		c->r = 0;
		if (db_exec(db, "ROLLBACK", DB_NO_ARGS) || postgres_sync(db) ||
		    postgres_settle(db))
			c->r = 0;
	}
	return r;
}

/* 0: it was committed; -ECONNRESET: it was not; -EINPROGRESS. */
static int postgres_resolve(struct db *db)
{
	struct postgres_connection *c = postgres_of(db);
	uint64_t deadline_ms = clock_mono_ms() + postgres_limits.resolve_ms;
	int64_t batch = 0;
	int r;

	while ((r = resolve_ask(db, &batch)) < 0 &&
	       clock_mono_ms() < deadline_ms)
		postgres_sleep(POSTGRES_BACKOFF_MIN_MS);
	c->r = 0;
	if (r == 0)
		return batch == c->batch ? 0 : -ECONNRESET;
	snprintf(db->message, sizeof(db->message),
		 "%s: the connection was lost while this was stored, and could "
		 "not be made again: the outcome is unknown; ask for what is "
		 "there, or repeat it with the same Idempotency-Key",
		 db->name);
	return -EINPROGRESS;
}

/* ----------------------------------------------------------- transactions */

static int postgres_begin(struct db *db, enum db_begin how)
{
	struct postgres_connection *c = postgres_of(db);
	int r = postgres_connect(db);

	c->r = 0;
	c->transaction = POSTGRES_NONE;
	c->changes_something = false;
	if (r < 0)
		return r;
	r = how == DB_READ
		    ? db_exec(db,
			      "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
			      DB_NO_ARGS)
		    : db_exec(db, "BEGIN", DB_NO_ARGS);
	c->transaction = how == DB_READ ? POSTGRES_READ : POSTGRES_WRITE;
	if (r == 0)
		r = postgres_follow_clock(db);
	if (r == 0 && how == DB_MIGRATE) /* others may take their time */
		r = db_exec(db, "SET LOCAL lock_timeout = 0", DB_NO_ARGS);
	if (r == 0 && how == DB_MIGRATE)
		r = db_exec(db,
			    "SELECT pg_advisory_xact_lock(hashtext('cronium'), "
			    "hashtext(current_schema()))",
			    DB_NO_ARGS);
	return r;
}

/* The last statement before COMMIT: see db_postgres.h. */
static int postgres_number_batch(struct db *db)
{
	struct postgres_connection *c = postgres_of(db);

	if (c->transaction != POSTGRES_WRITE || !c->changes_something ||
	    !c->numbered)
		return 0;
	return db_exec(db,
		       "UPDATE writers SET batch = ?2, at_ms = ?3 "
		       "WHERE instance = ?1",
		       DB_ARGS(db_str(c->who.instance), db_int(++c->batch),
			       db_int(clock_wall_ms())));
}

static int postgres_commit(struct db *db)
{
	struct postgres_connection *c = postgres_of(db);
	int r = c->r;

	if (r == 0)
		r = postgres_number_batch(db);
	if (r == 0)
		r = db_exec(db, "COMMIT", DB_NO_ARGS);
	if (r == 0)
		r = postgres_sync(db);
	if (r < 0)
		return r; /* it was not sent: nobody waits for a flush */
	r = postgres_settle(db);
	if (r < 0 && c->link)
		return r;
	if (r == -ECONNRESET && c->changes_something && c->numbered)
		r = postgres_resolve(db);
	c->transaction = POSTGRES_NONE;
	c->r = 0;
	return r;
}

/* Sent, but not waited for. */
static void postgres_rollback(struct db *db)
{
	struct postgres_connection *c = postgres_of(db);

	if (c->transaction == POSTGRES_NONE)
		return;
	c->transaction = POSTGRES_NONE;
	c->r = 0;
	if (c->link && db_exec(db, "ROLLBACK", DB_NO_ARGS) == 0 &&
	    postgres_sync(db) == 0)
		PQflush(c->link);
	c->r = 0;
}

static bool postgres_in_transaction(struct db *db)
{
	const struct postgres_connection *c = postgres_of(db);

	return c->transaction != POSTGRES_NONE && !c->r;
}

/* ---------------------------------------------------------- notifications */

static int postgres_notify(struct db *db, const char *kind, const char *id,
			   int64_t number)
{
	return db_exec(db,
		       "SELECT pg_notify(" DB_POSTGRES_CHANNEL ", "
		       "?1 || ' ' || ?2 || ' ' || ?3 || ' ' || ?4)",
		       DB_ARGS(db_str(postgres_of(db)->who.instance),
			       db_str(kind), db_int(number), db_str(id)));
}

/* ----------------------------------------------------------------- schema */

/* Looks into the catalogue itself: what a session remembers of names may be
 * older than the lock that it has waited for. */
static int postgres_get_version(struct db *db, int *version)
{
	int64_t n = 0;
	int r = db_query_int(db,
			     "SELECT count(*) FROM pg_class c "
			     "JOIN pg_namespace s ON s.oid = c.relnamespace "
			     "WHERE c.relname = 'schema_version' "
			     "AND s.nspname = current_schema()",
			     DB_NO_ARGS, &n);

	if (r == 0 && n)
		r = db_query_int(db, "SELECT version FROM schema_version",
				 DB_NO_ARGS, &n);
	*version = (int)n;
	db_reset(db);
	return r;
}

static int postgres_set_version(struct db *db, int version)
{
	char sql[256];

	snprintf(sql, sizeof(sql),
		 "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER "
		 "NOT NULL); DELETE FROM schema_version; "
		 "INSERT INTO schema_version VALUES (%d)",
		 version);
	return db_script(db, sql);
}

/* Two who start at once must not both make it. */
static int postgres_make_schema(struct db *db)
{
	const struct store_url *url = postgres_of(db)->url;
	char sql[512];

	if (!*url->schema)
		return 0;
	snprintf(sql, sizeof(sql),
		 "BEGIN; SET LOCAL lock_timeout = 0;"
		 "SELECT pg_advisory_xact_lock(hashtext('cronium'));"
		 "CREATE SCHEMA IF NOT EXISTS \"%s\"; COMMIT;"
		 "SET search_path TO \"%s\"",
		 url->schema, url->schema);
	return db_script(db, sql);
}

/* This backend's own row, and the sweeping of what others have left. */
static int postgres_join(struct db *db)
{
	struct postgres_connection *c = postgres_of(db);
	int64_t now_ms = clock_wall_ms();
	int r = db_begin(db, DB_WRITE);

	if (r == 0)
		r = db_exec(db, "DELETE FROM writers WHERE at_ms < ?1",
			    DB_ARGS(db_int(now_ms - WRITERS_KEPT_MS)));
	if (r == 0)
		r = db_exec(db,
			    "INSERT INTO writers (instance, batch, at_ms) "
			    "VALUES (?1, 0, ?2)",
			    DB_ARGS(db_str(c->who.instance), db_int(now_ms)));
	if (r == 0)
		r = db_exec(db, "SELECT job_counts_fold()", DB_NO_ARGS);
	if (r == 0)
		r = db_commit(db);
	db_rollback(db);
	c->numbered = r == 0;
	return r;
}

static int postgres_migrate(struct db *db,
			    const struct store_config *config UNUSED)
{
	int r = postgres_make_schema(db);

	if (r == 0)
		r = migrate(db);
	return r ? r : postgres_join(db);
}

const struct db_driver db_postgres = {
	.dialect = DB_POSTGRES,
	.migrations = migrations_postgres,
	.get_version = postgres_get_version,
	.set_version = postgres_set_version,
	.migrate = postgres_migrate,
	.begin = postgres_begin,
	.commit = postgres_commit,
	.rollback = postgres_rollback,
	.in_transaction = postgres_in_transaction,
	.query = postgres_query,
	.next = postgres_next,
	.exec = postgres_exec,
	.script = postgres_script,
	.changes = postgres_changes,
	.notify = postgres_notify,
	.reset = postgres_reset,
	.close = postgres_close,
	.column_count = postgres_row_count,
	.column_is_null = postgres_row_is_null,
	.column_int = postgres_row_int,
	.column_data = postgres_row_data,
};
