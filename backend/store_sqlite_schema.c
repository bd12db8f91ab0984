#include "backend/store_sqlite_schema.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "backend/store.h"
#include "backend/store_sqlite_db.h"
#include "backend/vault.h"
#include "common/buf.h"

#define SCHEMA_KEY_CONTEXT "key check"
#define SCHEMA_KEY_PLAIN "cronium"

/*
 * Step n makes schema n of schema n - 1. Steps that were released never
 * change; add one. States are the numbers of enum job_state.
 *
 * What changes often is apart from what is big: SQLite writes whole rows.
 */
static const char *const schema_steps[] = {
	[1] = "CREATE TABLE meta ("
	      "  name TEXT NOT NULL PRIMARY KEY,"
	      "  value BLOB NOT NULL"
	      ") STRICT, WITHOUT ROWID;"

	      "CREATE TABLE counters ("
	      "  name TEXT NOT NULL PRIMARY KEY,"
	      "  n INTEGER NOT NULL"
	      ") STRICT, WITHOUT ROWID;"
	      "INSERT INTO counters VALUES ('variable_version', 0);"

	      /* seq: the order of submission, which is that of the queue. */
	      "CREATE TABLE jobs ("
	      "  seq INTEGER PRIMARY KEY,"
	      "  id TEXT NOT NULL UNIQUE,"
	      "  idempotency_key TEXT,"
	      "  name TEXT NOT NULL,"
	      "  runtime TEXT NOT NULL,"
	      "  executor TEXT NOT NULL,"
	      "  state INTEGER NOT NULL,"
	      "  epoch INTEGER NOT NULL DEFAULT 0,"
	      "  cancel_requested INTEGER NOT NULL DEFAULT 0,"
	      "  cancel_reason TEXT,"
	      "  reason TEXT,"
	      "  created_ms INTEGER NOT NULL,"
	      "  ended_ms INTEGER NOT NULL DEFAULT 0,"
	      "  script_bytes INTEGER NOT NULL,"
	      "  input_bytes INTEGER NOT NULL,"
	      "  output_bytes INTEGER NOT NULL DEFAULT -1,"
	      "  labels BLOB"
	      ") STRICT;"
	      "CREATE UNIQUE INDEX jobs_idempotency ON jobs (idempotency_key)"
	      "  WHERE idempotency_key IS NOT NULL;"
	      "CREATE INDEX jobs_queue ON jobs (executor, seq) WHERE state = 0;"
	      "CREATE INDEX jobs_state ON jobs (state, seq);"

	      /* Counting 100,000 waiting jobs at each submit would be slow. */
	      "CREATE TABLE job_counts ("
	      "  state INTEGER PRIMARY KEY,"
	      "  n INTEGER NOT NULL"
	      ") STRICT;"
	      "INSERT INTO job_counts VALUES (0, 0), (1, 0), (2, 0), (3, 0),"
	      "  (4, 0), (5, 0), (6, 0), (7, 0);"
	      "CREATE TRIGGER jobs_inserted AFTER INSERT ON jobs BEGIN"
	      "  UPDATE job_counts SET n = n + 1 WHERE state = new.state;"
	      "END;"
	      "CREATE TRIGGER jobs_deleted AFTER DELETE ON jobs BEGIN"
	      "  UPDATE job_counts SET n = n - 1 WHERE state = old.state;"
	      "END;"
	      "CREATE TRIGGER jobs_moved AFTER UPDATE OF state ON jobs"
	      "  WHEN old.state <> new.state BEGIN"
	      "  UPDATE job_counts SET n = n - 1 WHERE state = old.state;"
	      "  UPDATE job_counts SET n = n + 1 WHERE state = new.state;"
	      "END;"

	      /* One for each claim; (job, epoch) names it. state is the job's while
	 * it is live; 0 once it was given back or its lease ran out before it
	 * was started. lease_until_ms is NULL unless it is live. log_received:
	 * payload bytes that it sent; log_bytes, log_dropped: of the job's
	 * whole log, up to and with this execution. */
	      "CREATE TABLE executions ("
	      "  seq INTEGER PRIMARY KEY,"
	      "  id TEXT NOT NULL UNIQUE,"
	      "  job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,"
	      "  epoch INTEGER NOT NULL,"
	      "  attempt INTEGER NOT NULL,"
	      "  state INTEGER NOT NULL,"
	      "  agent TEXT NOT NULL,"
	      "  executor TEXT,"
	      "  pod TEXT,"
	      "  claimed_ms INTEGER NOT NULL,"
	      "  started_ms INTEGER NOT NULL DEFAULT 0,"
	      "  ended_ms INTEGER NOT NULL DEFAULT 0,"
	      "  lease_until_ms INTEGER,"
	      "  condition INTEGER,"
	      "  exit_code INTEGER,"
	      "  signal INTEGER NOT NULL DEFAULT 0,"
	      "  oom_killed INTEGER NOT NULL DEFAULT 0,"
	      "  user_us INTEGER NOT NULL DEFAULT 0,"
	      "  system_us INTEGER NOT NULL DEFAULT 0,"
	      "  max_rss_kb INTEGER NOT NULL DEFAULT 0,"
	      "  log_received INTEGER NOT NULL DEFAULT 0,"
	      "  log_bytes INTEGER NOT NULL,"
	      "  log_dropped INTEGER NOT NULL,"
	      "  UNIQUE (job, epoch)"
	      ") STRICT;"
	      "CREATE INDEX executions_lease ON executions (lease_until_ms)"
	      "  WHERE lease_until_ms IS NOT NULL;"

	      /* kind: enum store_payload; 0 is the specification. */
	      "CREATE TABLE payloads ("
	      "  job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,"
	      "  kind INTEGER NOT NULL,"
	      "  data BLOB NOT NULL,"
	      "  PRIMARY KEY (job, kind)"
	      ") STRICT, WITHOUT ROWID;"

	      "CREATE TABLE log_chunks ("
	      "  job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,"
	      "  offset INTEGER NOT NULL,"
	      "  stream INTEGER NOT NULL,"
	      "  data BLOB NOT NULL,"
	      "  PRIMARY KEY (job, offset)"
	      ") STRICT, WITHOUT ROWID;"

	      /* A secret's value is sealed; bytes is always that of the plain one. */
	      "CREATE TABLE variables ("
	      "  key TEXT NOT NULL PRIMARY KEY,"
	      "  secret INTEGER NOT NULL,"
	      "  version INTEGER NOT NULL,"
	      "  updated_ms INTEGER NOT NULL,"
	      "  bytes INTEGER NOT NULL,"
	      "  value BLOB NOT NULL"
	      ") STRICT, WITHOUT ROWID;"

	      /* First results of writes with an Idempotency-Key, until the
	 * execution ends. value is sealed. */
	      "CREATE TABLE repeats ("
	      "  execution INTEGER NOT NULL REFERENCES executions"
	      "    ON DELETE CASCADE,"
	      "  key TEXT NOT NULL,"
	      "  digest BLOB NOT NULL,"
	      "  version INTEGER NOT NULL,"
	      "  updated_ms INTEGER NOT NULL,"
	      "  secret INTEGER NOT NULL,"
	      "  created INTEGER NOT NULL,"
	      "  bytes INTEGER NOT NULL,"
	      "  value BLOB,"
	      "  PRIMARY KEY (execution, key)"
	      ") STRICT, WITHOUT ROWID;"

	      "CREATE TABLE audit ("
	      "  id INTEGER PRIMARY KEY,"
	      "  at_ms INTEGER NOT NULL,"
	      "  who TEXT,"
	      "  action TEXT NOT NULL,"
	      "  target TEXT,"
	      "  result TEXT NOT NULL,"
	      "  job TEXT,"
	      "  execution TEXT,"
	      "  trace_id TEXT"
	      ") STRICT;"
	      "CREATE INDEX audit_execution ON audit (execution, id)"
	      "  WHERE execution IS NOT NULL;"

	      "CREATE TABLE api_keys ("
	      "  id TEXT NOT NULL PRIMARY KEY,"
	      "  name TEXT NOT NULL,"
	      "  hash BLOB NOT NULL UNIQUE,"
	      "  created_ms INTEGER NOT NULL,"
	      "  last_used_ms INTEGER NOT NULL DEFAULT 0"
	      ") STRICT, WITHOUT ROWID;",

	[2] = "ALTER TABLE jobs ADD COLUMN want_agent TEXT;"
	      "ALTER TABLE jobs ADD COLUMN parent TEXT;"
	      "ALTER TABLE jobs ADD COLUMN input_from TEXT;"
	      "ALTER TABLE jobs ADD COLUMN trace_id TEXT;"
	      "ALTER TABLE jobs ADD COLUMN input_stream INTEGER NOT NULL"
	      "  DEFAULT 1;"
	      "ALTER TABLE jobs ADD COLUMN bound INTEGER NOT NULL DEFAULT 0;"
	      /* Those that wait for an agent apart, so that they are in nobody
	 * else's way. */
	      "DROP INDEX jobs_queue;"
	      "CREATE INDEX jobs_queue ON jobs (executor, want_agent, seq)"
	      "  WHERE state = 0;"
	      "CREATE INDEX jobs_parent ON jobs (parent)"
	      "  WHERE parent IS NOT NULL;"
	      /* Those that are cancelled when their parent ends. */
	      "CREATE INDEX jobs_bound ON jobs (parent)"
	      "  WHERE bound = 1 AND state < 3;"

	      /* kind: enum store_stream_kind. records: how many there are, which
	 * is the number of the next one. ended: nothing more will come. swept:
	 * what is not needed once its job has ended was removed. A job whose
	 * stream was never touched has no row. */
	      "CREATE TABLE streams ("
	      "  job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,"
	      "  kind INTEGER NOT NULL,"
	      "  records INTEGER NOT NULL,"
	      "  bytes INTEGER NOT NULL,"
	      "  ended INTEGER NOT NULL,"
	      "  swept INTEGER NOT NULL DEFAULT 0,"
	      "  PRIMARY KEY (job, kind)"
	      ") STRICT, WITHOUT ROWID;"
	      "CREATE INDEX streams_unswept ON streams (job, kind)"
	      "  WHERE swept = 0;"
	      /* One for each append: records first to first + n - 1, each a line
	 * with its newline. at: bytes of the stream before them. */
	      "CREATE TABLE stream_chunks ("
	      "  id INTEGER PRIMARY KEY,"
	      "  job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,"
	      "  kind INTEGER NOT NULL,"
	      "  first INTEGER NOT NULL,"
	      "  at INTEGER NOT NULL,"
	      "  n INTEGER NOT NULL,"
	      "  data BLOB NOT NULL"
	      ") STRICT;"
	      "CREATE UNIQUE INDEX stream_chunks_at"
	      "  ON stream_chunks (job, kind, first);"
	      /* Appends with an Idempotency-Key, until the job ends. next is what
	 * they were answered with. */
	      "CREATE TABLE stream_keys ("
	      "  job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,"
	      "  kind INTEGER NOT NULL,"
	      "  key TEXT NOT NULL,"
	      "  digest BLOB NOT NULL,"
	      "  next INTEGER NOT NULL,"
	      "  PRIMARY KEY (job, kind, key)"
	      ") STRICT, WITHOUT ROWID;"

	      /* The last changes of variables, oldest first. value is sealed where
	 * secret; NULL where the variable was deleted, or the value was too
	 * large to keep twice (kept = 0). */
	      "CREATE TABLE variable_changes ("
	      "  version INTEGER PRIMARY KEY,"
	      "  key TEXT NOT NULL,"
	      "  deleted INTEGER NOT NULL,"
	      "  secret INTEGER NOT NULL,"
	      "  kept INTEGER NOT NULL,"
	      "  at_ms INTEGER NOT NULL,"
	      "  value BLOB"
	      ") STRICT;"
	      "CREATE INDEX variable_changes_key"
	      "  ON variable_changes (key, version);"

	      /* Those with an execution have an index of their own. */
	      "CREATE INDEX audit_job ON audit (job, id)"
	      "  WHERE job IS NOT NULL AND execution IS NULL;"

	      /* Tool actions with an Idempotency-Key, until the execution ends.
	 * status 0: begun, outcome unknown. result is sealed. */
	      "CREATE TABLE tool_calls ("
	      "  execution INTEGER NOT NULL REFERENCES executions"
	      "    ON DELETE CASCADE,"
	      "  key TEXT NOT NULL,"
	      "  digest BLOB NOT NULL,"
	      "  begun_ms INTEGER NOT NULL,"
	      "  status INTEGER NOT NULL DEFAULT 0,"
	      "  result BLOB,"
	      "  PRIMARY KEY (execution, key)"
	      ") STRICT, WITHOUT ROWID;",

	/* signature: of the script. Jobs from before are signed here and at no
	 * other time: a signature that somebody took away is not made again. */
	[3] = "ALTER TABLE jobs ADD COLUMN signature TEXT;"
	      "UPDATE jobs SET signature = sign_script((SELECT data FROM"
	      "  payloads WHERE job = jobs.seq AND kind = 1));"
	      /* How often a job that failed is tried again, and the waits in
	 * between. failed_ms: when it first did. not_before_ms: it is queued,
	 * but waits until then; 0 for all that may be claimed. */
	      "ALTER TABLE jobs ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;"
	      "ALTER TABLE jobs ADD COLUMN backoff_initial_ms INTEGER NOT NULL"
	      "  DEFAULT 0;"
	      "ALTER TABLE jobs ADD COLUMN backoff_max_ms INTEGER NOT NULL"
	      "  DEFAULT 0;"
	      "ALTER TABLE jobs ADD COLUMN backoff_elapsed_ms INTEGER NOT NULL"
	      "  DEFAULT 0;"
	      "ALTER TABLE jobs ADD COLUMN failed_ms INTEGER NOT NULL"
	      "  DEFAULT 0;"
	      "ALTER TABLE jobs ADD COLUMN not_before_ms INTEGER NOT NULL"
	      "  DEFAULT 0;"
	      "DROP INDEX jobs_queue;"
	      "CREATE INDEX jobs_queue ON jobs (executor, want_agent, seq)"
	      "  WHERE state = 0 AND not_before_ms = 0;"
	      "CREATE INDEX jobs_waiting ON jobs (not_before_ms)"
	      "  WHERE not_before_ms > 0;"

	      /* Where the executor ssh finds its hosts. */
	      "CREATE TABLE hosts ("
	      "  name TEXT NOT NULL PRIMARY KEY,"
	      "  user TEXT NOT NULL,"
	      "  address TEXT NOT NULL,"
	      "  port INTEGER NOT NULL,"
	      "  host_key TEXT,"
	      "  mode TEXT NOT NULL,"
	      "  read_only INTEGER NOT NULL,"
	      "  created_ms INTEGER NOT NULL"
	      ") STRICT, WITHOUT ROWID;"
	      "ALTER TABLE jobs ADD COLUMN host TEXT;",
};

#define SCHEMA_VERSION ((int)ARRAY_SIZE(schema_steps) - 1)

static int schema_run(struct db *db, const char *sql)
{
	int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : db_error(db, code);
}

static int schema_version(struct db *db, int *version)
{
	sqlite3_stmt *row;
	int r = db_query(db, "PRAGMA user_version", DB_NO_ARGS, &row);

	if (r == 0)
		*version = sqlite3_column_int(row, 0);
	db_reset(db);
	return r > 0 ? -EIO : r;
}

/* sign_script(BLOB): TEXT, or NULL where nobody signs. */
static void schema_sign_script(sqlite3_context *ctx, int n,
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

static int schema_step(struct db *db, int version)
{
	char pragma[64];
	int r = schema_run(db, "BEGIN IMMEDIATE");

	if (r < 0)
		return r;
	r = schema_run(db, schema_steps[version]);
	snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %d", version);
	if (r == 0)
		r = schema_run(db, pragma);
	if (r == 0)
		r = schema_run(db, "COMMIT");
	if (r < 0 && !sqlite3_get_autocommit(db->handle))
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

static int schema_migrate_from(struct db *db, int version)
{
	int r = 0;

	if (version > SCHEMA_VERSION) {
		snprintf(db->message, sizeof(db->message),
			 "%s was written by a newer Cronium (schema %d, this "
			 "one knows %d); install that version or a later one",
			 db->path, version, SCHEMA_VERSION);
		return -EPROTO;
	}
	while (r == 0 && version < SCHEMA_VERSION)
		r = schema_step(db, ++version);
	return r;
}

int schema_migrate(struct db *db, const struct store_config *config)
{
	int version = 0;
	int r = schema_version(db, &version);
	int code;

	if (r < 0)
		return r;
	code = sqlite3_create_function(db->handle, "sign_script", 1,
				       SQLITE_UTF8 | SQLITE_DIRECTONLY,
				       (void *)(uintptr_t)config,
				       schema_sign_script, NULL, NULL);
	if (code != SQLITE_OK)
		return db_error(db, code);
	r = schema_migrate_from(db, version);
	/* config is the caller's: nobody is to come back to it. */
	sqlite3_create_function(db->handle, "sign_script", 1, SQLITE_UTF8, NULL,
				NULL, NULL, NULL);
	return r;
}

/* -------------------------------------------------------------- key check */

static int schema_key_known(struct db *db, bool *known)
{
	_cleanup_(buf_deinit_secret) struct buf plain = { 0 };
	sqlite3_stmt *row;
	int r;

	*known = false;
	r = db_query(db, "SELECT value FROM meta WHERE name = 'key_check'",
		     DB_NO_ARGS, &row);
	if (r)
		return MIN(r, 0);
	r = vault_open(db->vault, SCHEMA_KEY_CONTEXT,
		       sqlite3_column_blob(row, 0),
		       (size_t)sqlite3_column_bytes(row, 0), &plain);
	*known = r == 0 && plain.len == strlen(SCHEMA_KEY_PLAIN) &&
		 !memcmp(plain.data, SCHEMA_KEY_PLAIN, plain.len);
	return MIN(r, 0);
}

static int schema_count_sealed(struct db *db, int64_t *n)
{
	sqlite3_stmt *row;
	int r = db_query(db,
			 "SELECT (SELECT count(*) FROM variables WHERE secret)"
			 " + (SELECT count(*) FROM repeats WHERE secret)"
			 " + (SELECT count(*) FROM tool_calls)",
			 DB_NO_ARGS, &row);

	if (r == 0)
		*n = sqlite3_column_int64(row, 0);
	return r > 0 ? -EIO : r;
}

static int schema_adopt_key(struct db *db)
{
	_cleanup_(buf_deinit) struct buf sealed = { 0 };
	int r = vault_seal(db->vault, SCHEMA_KEY_CONTEXT, SCHEMA_KEY_PLAIN,
			   strlen(SCHEMA_KEY_PLAIN), &sealed);

	if (r == 0) /* digests of the old key mean nothing to the new one */
		r = db_exec(db, "DELETE FROM repeats", DB_NO_ARGS);
	if (r == 0) /* of secrets that were deleted since */
		r = db_exec(
			db,
			"UPDATE variable_changes SET kept = 0, value = NULL "
			"WHERE secret AND value IS NOT NULL",
			DB_NO_ARGS);
	if (r == 0)
		r = db_exec(db,
			    "INSERT OR REPLACE INTO meta VALUES ('key_check', "
			    "?1)",
			    DB_ARGS(db_blob(sealed.data, sealed.len)));
	db_reset(db);
	return r;
}

int schema_check_key(struct db *db)
{
	int64_t n_sealed = 0;
	bool known = false;
	int r = schema_key_known(db, &known);

	if (r == 0 && !known)
		r = schema_count_sealed(db, &n_sealed);
	db_reset(db);
	if (r < 0 || known)
		return r;
	if (!n_sealed)
		return schema_adopt_key(db);
	snprintf(db->message, sizeof(db->message),
		 "%s holds %lld secrets that were encrypted with another "
		 "master key; restore the file keys/master.key or the "
		 "variable CRONIUM_MASTER_KEY that it was used with",
		 db->path, (long long)n_sealed);
	return -EKEYREJECTED;
}
