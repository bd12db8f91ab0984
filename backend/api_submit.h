/* The end of every call that submits a job: Idempotency-Key, store, reply. */
#pragma once

struct api_call;
struct job_submission;

/*
 * Hands the submission to the store and answers, now or later: 201 with the
 * job object, or a problem. The audit entry is action about target; NULL: the
 * new job.
 */
void api_submit(struct api_call *call, const struct job_submission *s,
		const char *action, const char *target);
