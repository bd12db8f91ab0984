/*
 * The SQLite implementation of the store. Each operation is one function that
 * runs in the writer's or the reader's thread, inside a transaction:
 *
 *   store_sqlite.c           threads, group commit
 *   store_sqlite_schema.c    tables
 *   store_sqlite_db.c        statements and errors
 *   store_sqlite_{job,family,queue,retry,host,log,stream,sweep,variable,change,
 *   runtime,tool,audit}.c    operations
 *
 * An operation may be run again after its transaction was rolled back. It
 * returns as store.h says: 0, STORE_E_*, or negative errno.
 */
#pragma once

#include "backend/store_call.h"
#include "backend/store_sqlite_db.h"
#include "common/macro.h"

typedef int sqlite_op_fn(struct db *db, struct store_call *call);

sqlite_op_fn sqlite_job_submit, sqlite_job_get, sqlite_job_list,
	sqlite_job_count, sqlite_job_read, sqlite_job_cancel;
sqlite_op_fn sqlite_job_cancel_orphans;
sqlite_op_fn sqlite_queue_claim, sqlite_queue_give_back, sqlite_queue_started,
	sqlite_queue_heartbeat, sqlite_queue_complete, sqlite_queue_expire,
	sqlite_queue_due, sqlite_queue_grace, sqlite_queue_abandon;
sqlite_op_fn sqlite_host_put, sqlite_host_delete, sqlite_host_get,
	sqlite_host_list;
sqlite_op_fn sqlite_log_append, sqlite_log_read;
sqlite_op_fn sqlite_stream_append, sqlite_stream_read, sqlite_stream_get,
	sqlite_stream_sweep;
sqlite_op_fn sqlite_variable_get, sqlite_variable_list, sqlite_variable_put,
	sqlite_variable_delete, sqlite_variable_increment;
sqlite_op_fn sqlite_change_list;
sqlite_op_fn sqlite_execution_get, sqlite_output_set, sqlite_condition_set,
	sqlite_condition_get;
sqlite_op_fn sqlite_tool_begin, sqlite_tool_finish;
sqlite_op_fn sqlite_audit_append, sqlite_audit_list, sqlite_api_key_add,
	sqlite_api_key_delete, sqlite_api_key_touch, sqlite_api_key_list;

/* Writes the audit entry that came with a request that ended with r. */
int sqlite_audit_note(struct db *db, const struct store_audit *entry,
		      int r) MUST_CHECK;
