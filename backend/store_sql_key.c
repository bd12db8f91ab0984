#include "backend/store_sql_key.h"

#include <errno.h>
#include <stdio.h>

#include "backend/db.h"
#include "backend/vault.h"
#include "common/buf.h"

#define KEY_CONTEXT "key check"
#define KEY_PLAIN "cronium"

static int key_is_known(struct db *db, bool *known)
{
	_cleanup_(buf_deinit_secret) struct buf plain = { 0 };
	struct db_row *row;
	int r;

	*known = false;
	r = db_query(db, "SELECT value FROM meta WHERE name = 'key_check'",
		     DB_NO_ARGS, &row);
	if (r)
		return MIN(r, 0);
	r = vault_open(db->vault, KEY_CONTEXT, db_column_data(row, 0),
		       db_column_len(row, 0), &plain);
	*known = r == 0 && plain.len == strlen(KEY_PLAIN) &&
		 !memcmp(plain.data, KEY_PLAIN, plain.len);
	return MIN(r, 0);
}

static int key_count_sealed(struct db *db, int64_t *n)
{
	return db_query_int(
		db,
		"SELECT (SELECT count(*) FROM variables WHERE secret <> 0) "
		"+ (SELECT count(*) FROM repeats WHERE secret <> 0) "
		"+ (SELECT count(*) FROM tool_calls)",
		DB_NO_ARGS, n);
}

static int key_adopt(struct db *db)
{
	_cleanup_(buf_deinit) struct buf sealed = { 0 };
	int r = vault_seal(db->vault, KEY_CONTEXT, KEY_PLAIN, strlen(KEY_PLAIN),
			   &sealed);

	if (r == 0) /* digests of the old key mean nothing to the new one */
		r = db_exec(db, "DELETE FROM repeats", DB_NO_ARGS);
	if (r == 0) /* of secrets that were deleted since */
		r = db_exec(
			db,
			"UPDATE variable_changes SET kept = 0, value = NULL "
			"WHERE secret <> 0 AND value IS NOT NULL",
			DB_NO_ARGS);
	if (r == 0)
		r = db_exec(db,
			    "INSERT INTO meta (name, value) "
			    "VALUES ('key_check', ?1) ON CONFLICT (name) "
			    "DO UPDATE SET value = excluded.value",
			    DB_ARGS(db_blob(sealed.data, sealed.len)));
	db_reset(db);
	return r;
}

/* 0 where it is the one, or has become it. */
static int key_take(struct db *db)
{
	int64_t n_sealed = 0;
	bool known = false;
	int r = key_is_known(db, &known);

	if (r < 0 || known)
		return r;
	r = key_count_sealed(db, &n_sealed);
	if (r < 0)
		return r;
	if (!n_sealed)
		return key_adopt(db);
	snprintf(db->message, sizeof(db->message),
		 "%s holds %lld secrets that were encrypted with another "
		 "master key; restore the file keys/master.key or the "
		 "variable CRONIUM_MASTER_KEY that it was used with",
		 db->name, (long long)n_sealed);
	return -EKEYREJECTED;
}

int sql_key_check(struct db *db)
{
	bool known = false;
	int r = db_begin(db, DB_READ);

	if (r == 0)
		r = key_is_known(db, &known);
	db_rollback(db);
	if (r < 0 || known)
		return r;
	/* Of two backends that start with different keys one is the first. */
	r = db_begin(db, DB_MIGRATE);
	if (r == 0)
		r = key_take(db);
	if (r == 0)
		r = db_commit(db);
	db_rollback(db);
	return r;
}
