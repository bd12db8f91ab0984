#include "backend/store_no_wait.h"

#include "backend/store_call.h"

STORE_OPERATION(store_job_fail, JOB_FAIL, store_job_fail)
STORE_OPERATION_BARE(store_job_no_wait, JOB_NO_WAIT)
