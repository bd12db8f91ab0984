/* Jobs that do not wait, in the store: no_wait.h. See store.h for how
 * operations work. */
#pragma once

#include "backend/store.h"
#include "common/macro.h"

struct store_job_fail {
	const char *job;
	const char *reason;
};
/* A queued job fails, before anybody has claimed it: result->job;
 * STORE_E_NOT_FOUND; STORE_E_STATE with result->job when it is not queued any
 * more. */
int store_job_fail(struct store *s, const struct store_job_fail *fail,
		   struct store_done done) MUST_CHECK;

/* The queued jobs with no_wait that may be claimed now or are held, the oldest
 * first: result->jobs, at most STORE_LIST_MAX. */
int store_job_no_wait(struct store *s, struct store_done done) MUST_CHECK;
