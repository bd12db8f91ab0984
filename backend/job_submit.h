/*
 * Hands a submission to the store: people's (POST /v1/jobs) and those of jobs
 * that start others.
 */
#pragma once

#include "backend/store.h"
#include "common/id.h"
#include "common/macro.h"

struct backend;
struct job_submission;

struct job_submit_options {
	const char *idempotency_key; /* or NULL; see struct store_job_new */
	const char *trace_id;
	const char *parent; /* the execution that starts it, or NULL */
	int64_t max_children, max_depth, max_family;
	bool bound;
	struct store_audit audit; /* its job, and a target that is NULL, will
				   * be the new one's id */
};

/* As store_job_submit(); -ENOMEM as well. */
int job_submit(struct backend *b, const struct job_submission *s,
	       const struct job_submit_options *options,
	       struct store_done done) MUST_CHECK;
