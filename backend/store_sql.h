/*
 * The store in an SQL database. Each operation is one function that runs in
 * the writer's or the reader's thread, inside a transaction:
 *
 *   store_sql.c              threads
 *   store_sql_batch.c        transactions, group commit
 *   store_sql_{job,submit,family,placement,claim,queue,retry,session,agent,
 *   host,log,stream*,sweep,variable,change,runtime,tool,audit}.c  operations
 *   store_sql_key.c          whether the master key is the right one
 *   db.h, db_*.c             databases
 *   migrate.c, migrations/   tables
 *
 * An operation may be run again after its transaction was rolled back. It
 * returns as store.h says: 0, STORE_E_*, or negative errno.
 */
#pragma once

#include "backend/db.h"
#include "backend/store_call.h"
#include "backend/store_listen.h"
#include "common/macro.h"

/* One transaction: bounds how long the first of a batch waits for the last,
 * and how much is repeated when the disk is full. */
#define SQL_BATCH_MAX_CALLS 512
#define SQL_BATCH_MAX_BYTES (16 * 1024 * 1024)

typedef int sql_op_fn(struct db *db, struct store_call *call);

sql_op_fn sql_job_submit, sql_job_get, sql_job_list, sql_job_count,
	sql_job_read, sql_job_cancel;
sql_op_fn sql_job_cancel_orphans, sql_job_fail, sql_job_no_wait;
sql_op_fn sql_queue_claim, sql_queue_give_back, sql_queue_started,
	sql_queue_heartbeat, sql_queue_complete, sql_queue_expire,
	sql_queue_due, sql_queue_grace, sql_queue_recover;
sql_op_fn sql_session_new, sql_session_set, sql_session_get, sql_session_list;
sql_op_fn sql_agent_connect, sql_agent_disconnect, sql_agent_drain,
	sql_agent_forget, sql_agent_get, sql_agent_list;
sql_op_fn sql_host_put, sql_host_delete, sql_host_get, sql_host_list;
sql_op_fn sql_log_append, sql_log_read;
sql_op_fn sql_stream_append, sql_stream_read, sql_stream_get, sql_stream_sweep;
sql_op_fn sql_variable_get, sql_variable_list, sql_variable_put,
	sql_variable_delete, sql_variable_increment;
sql_op_fn sql_change_list;
sql_op_fn sql_execution_get, sql_output_set, sql_condition_set,
	sql_condition_get;
sql_op_fn sql_tool_begin, sql_tool_finish;
sql_op_fn sql_audit_append, sql_audit_list, sql_api_key_add, sql_api_key_delete,
	sql_api_key_touch, sql_api_key_list;

struct store_agent_status;
/* Keeps what an agent said of itself: it was seen. */
int sql_agent_status(struct db *db, const char *name,
		     const struct store_agent_status *status) MUST_CHECK;

/* Writes the audit entry that came with a request that ended with r. */
int sql_audit_note(struct db *db, const struct store_audit *entry,
		   int r) MUST_CHECK;
