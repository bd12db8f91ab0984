#include "backend/store_no_wait.h"

#include "backend/store_call.h"

int store_job_fail(struct store *s, const struct store_job_fail *fail,
		   struct store_done done)
{
	return store_call_start(s, STORE_OP_JOB_FAIL, fail, done);
}

int store_job_no_wait(struct store *s, struct store_done done)
{
	return store_call_start(s, STORE_OP_JOB_NO_WAIT, NULL, done);
}
