#include "backend/store_job.h"

#include "backend/store_call.h"

STORE_OPERATION(store_job_submit, JOB_SUBMIT, store_job_new)
STORE_OPERATION_ID(store_job_get, JOB_GET)
STORE_OPERATION(store_job_list, JOB_LIST, store_job_query)
STORE_OPERATION_BARE(store_job_count, JOB_COUNT)

int store_job_read(struct store *s, const char *job, enum store_payload kind,
		   struct store_done done)
{
	struct store_request_payload request = { job, kind };

	return store_call_start(s, STORE_OP_JOB_READ, &request, done);
}

STORE_OPERATION(store_job_cancel, JOB_CANCEL, store_job_cancel)
STORE_OPERATION_BARE(store_job_cancel_orphans, JOB_CANCEL_ORPHANS)
