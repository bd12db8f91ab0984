/*
 * The job that a capability becomes: an ordinary submission, whose
 * specification then gets the members that no user can set (job_spec.h).
 * Pure.
 */
#pragma once

#include <jansson.h>

#include "common/buf.h"
#include "common/macro.h"

struct capability;
struct tool_violations;

enum {
	CAPABILITY_JOB_E_ARGS = 1, /* the violations say why */
	CAPABILITY_JOB_E_SPEC,     /* the sentence says why */
};

/*
 * Appends the body of a POST /v1/jobs to out. ask: {"args", "dry_run",
 * "timeout_ms", "host", …}. 0; CAPABILITY_JOB_E_*, with v or why (appended to);
 * or -ENOMEM.
 */
int capability_job_body(const struct capability *c, const json_t *ask,
			struct tool_violations *v, struct buf *why,
			struct buf *out) MUST_CHECK;

/* Marks the specification, in its normal form, as c's. 0 or -ENOMEM. */
int capability_job_mark(const struct capability *c, json_t *spec) MUST_CHECK;
