/*
 * Tool actions with an Idempotency-Key: begun, and what came of them. A reply
 * may hold what a script must not see again elsewhere, so it is sealed, bound
 * to its execution and key.
 */
#include <errno.h>
#include <stdio.h>

#include "backend/store_sql_job.h"
#include "backend/store_tool.h"
#include "backend/vault.h"
#include "common/clock.h"

#define TOOL_CONTEXT_MAX_BYTES 256 /* an execution, and the longest key */

static int tool_context(const char *execution, const char *key, char *out)
{
	int n = snprintf(out, TOOL_CONTEXT_MAX_BYTES, "tool:%s:%s", execution,
			 key);

	return n < TOOL_CONTEXT_MAX_BYTES ? 0 : -ENAMETOOLONG;
}

static int tool_open_reply(struct db *db, struct store_call *call,
			   const struct store_tool_begin *begin,
			   const struct store_blob *sealed)
{
	_cleanup_(buf_deinit_secret) struct buf plain = { 0 };
	struct store_blob *reply = &call->result.tool.reply;
	char context[TOOL_CONTEXT_MAX_BYTES];
	int r = tool_context(begin->execution, begin->idempotency_key, context);

	if (r == 0)
		r = vault_open(db->vault, context, sealed->data, sealed->len,
			       &plain);
	if (r == VAULT_E_REFUSED)
		return store_call_fail(call, -EIO,
				       "%s: the outcome of an earlier tool "
				       "action cannot be decrypted",
				       db->name);
	if (r < 0)
		return r;
	reply->data = arena_dup(&call->arena,
				plain.data ? plain.data : (const void *)"",
				plain.len);
	reply->len = plain.len;
	return 0;
}

/* STORE_E_NOT_FOUND when this key was not used before. */
static int tool_find(struct db *db, struct store_call *call, int64_t execution,
		     const struct store_tool_begin *begin,
		     const uint8_t digest[VAULT_DIGEST_BYTES])
{
	struct store_blob sealed;
	struct db_row *row;
	int r = db_query(db,
			 "SELECT digest, status, result FROM tool_calls "
			 "WHERE execution = ?1 AND key = ?2",
			 DB_ARGS(db_int(execution),
				 db_str(begin->idempotency_key)),
			 &row);

	if (r)
		return r;
	if (db_column_len(row, 0) != VAULT_DIGEST_BYTES ||
	    memcmp(db_column_data(row, 0), digest, VAULT_DIGEST_BYTES))
		return store_call_fail(call, STORE_E_KEY_REUSED,
				       "the Idempotency-Key %s belongs to "
				       "another tool action of this execution",
				       begin->idempotency_key);
	call->result.repeated = true;
	call->result.tool.status = db_column_int(row, 1);
	if (!call->result.tool.status)
		return 0;
	sealed = db_column_blob(row, 2, &call->arena);
	return tool_open_reply(db, call, begin, &sealed);
}

int sql_tool_begin(struct db *db, struct store_call *call)
{
	const struct store_tool_begin *begin = call->request;
	uint8_t digest[VAULT_DIGEST_BYTES];
	struct sql_job job;
	int r = sql_job_load_execution(db, call, begin->execution, &job);

	if (r)
		return r;
	if (!job_state_live(job.execution_state))
		return store_call_fail(call, STORE_E_ENDED,
				       "execution %s has ended",
				       begin->execution);
	r = vault_digest(db->vault, "tool", begin->request.data,
			 begin->request.len, digest);
	if (r == 0)
		r = tool_find(db, call, job.execution_seq, begin, digest);
	if (r != STORE_E_NOT_FOUND)
		return r;
	return db_exec(db,
		       "INSERT INTO tool_calls (execution, key, digest, "
		       "begun_ms) VALUES (?1, ?2, ?3, ?4)",
		       DB_ARGS(db_int(job.execution_seq),
			       db_str(begin->idempotency_key),
			       db_blob(digest, sizeof(digest)),
			       db_int(clock_wall_ms())));
}

static int tool_forget(struct db *db, const struct store_tool_finish *finish)
{
	return db_exec(
		db,
		"DELETE FROM tool_calls WHERE status = 0 AND key = ?2 AND "
		"execution = (SELECT seq FROM executions WHERE id = ?1)",
		DB_ARGS(db_str(finish->execution),
			db_str(finish->idempotency_key)));
}

int sql_tool_finish(struct db *db, struct store_call *call)
{
	const struct store_tool_finish *finish = call->request;
	_cleanup_(buf_deinit) struct buf sealed = { 0 };
	char context[TOOL_CONTEXT_MAX_BYTES];
	int r;

	if (!finish->status)
		return tool_forget(db, finish);
	r = tool_context(finish->execution, finish->idempotency_key, context);
	if (r == 0)
		r = vault_seal(db->vault, context, finish->reply.data,
			       finish->reply.len, &sealed);
	if (r < 0)
		return r;
	return db_exec(db,
		       "UPDATE tool_calls SET status = ?3, result = ?4 "
		       "WHERE status = 0 AND key = ?2 AND "
		       "execution = (SELECT seq FROM executions WHERE id = ?1)",
		       DB_ARGS(db_str(finish->execution),
			       db_str(finish->idempotency_key),
			       db_int(finish->status),
			       db_blob(sealed.data, sealed.len)));
}
