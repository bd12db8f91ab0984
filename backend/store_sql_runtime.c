/* What belongs to an execution: its job, output and condition. */
#include <errno.h>

#include "backend/store_job.h"
#include "backend/store_runtime.h"
#include "backend/store_sql_writer.h"

int sql_execution_get(struct db *db, struct store_call *call)
{
	const struct store_request_id *request = call->request;
	struct sql_job job;
	int r = sql_job_load_execution(db, call, request->id, &job);

	if (r)
		return r;
	call->result.job = job.job;
	if (!job_state_live(job.execution_state))
		return store_call_fail(call, STORE_E_ENDED,
				       "execution %s has ended", request->id);
	return 0;
}

static int runtime_begin(struct db *db, struct store_call *call,
			 const struct store_writer *from, const char *what,
			 const void *data, size_t len, struct sql_writer *w)
{
	int r;

	if (!from->execution)
		return store_call_fail(call, STORE_E_NOT_FOUND,
				       "only an execution has an %s", what);
	r = sql_writer_begin(db, call, from, what, data, len, w);
	if (r == 0)
		call->result.job = w->job.job;
	return r;
}

int sql_output_set(struct db *db, struct store_call *call)
{
	const struct store_output_set *set = call->request;
	struct sql_writer w;
	int r = runtime_begin(db, call, &set->writer, "output", set->value.data,
			      set->value.len, &w);

	if (r || call->result.repeated)
		return r;
	r = sql_payload_save(db, w.job.seq, STORE_OUTPUT, &set->value);
	if (r == 0)
		r = db_exec(db,
			    "UPDATE jobs SET output_bytes = ?2 WHERE seq = ?1",
			    DB_ARGS(db_int(w.job.seq),
				    db_int((int64_t)set->value.len)));
	if (r == 0)
		r = sql_writer_end(db, call, &w);
	call->result.job.output_bytes = (int64_t)set->value.len;
	return r;
}

int sql_condition_set(struct db *db, struct store_call *call)
{
	const struct store_condition_set *set = call->request;
	struct sql_writer w;
	int r = runtime_begin(db, call, &set->writer, "condition", &set->value,
			      sizeof(set->value), &w);

	if (r || call->result.repeated)
		return r;
	r = db_exec(db, "UPDATE executions SET condition = ?2 WHERE seq = ?1",
		    DB_ARGS(db_int(w.job.execution_seq), db_int(set->value)));
	if (r == 0)
		r = sql_writer_end(db, call, &w);
	call->result.condition = set->value;
	return r;
}

int sql_condition_get(struct db *db, struct store_call *call)
{
	const struct store_request_id *request = call->request;
	struct db_row *row;
	int r = db_query(db,
			 "SELECT condition FROM executions WHERE id = ?1 "
			 "AND condition IS NOT NULL",
			 DB_ARGS(db_str(request->id)), &row);

	if (r == 0)
		call->result.condition = db_column_int(row, 0);
	if (r == STORE_E_NOT_FOUND)
		return store_call_fail(call, r, "execution %s has no condition",
				       request->id);
	return r;
}
