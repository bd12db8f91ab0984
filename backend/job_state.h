/*
 * The job state machine, the only one there is:
 *
 *   queued ──▶ claimed ──▶ running ──▶ succeeded | failed | timed_out
 *     │         │   │         ├──────▶ cancelled | lost
 *     │         │   │         └──────▶ queued     (it is tried again)
 *     │         │   └─▶ any end state   (it ended before it was started)
 *     │         └─▶ queued   (lease ran out, was given back, tried again)
 *     └─▶ cancelled | failed   (no_wait.h)
 *
 * End states never change. Pure.
 */
#pragma once

#include <stdbool.h>

#include "common/macro.h"

enum job_state {
	JOB_QUEUED,
	JOB_CLAIMED,
	JOB_RUNNING,
	JOB_SUCCEEDED,
	JOB_FAILED,
	JOB_TIMED_OUT,
	JOB_CANCELLED,
	JOB_LOST,
	JOB_STATES, /* how many there are */
};

/* "queued" …, as the API and the store spell it. */
const char *job_state_name(enum job_state s);
/* 0 or -EINVAL. */
int job_state_parse(const char *name, enum job_state *out) MUST_CHECK;

bool job_state_ended(enum job_state s);
/* True while an execution holds a lease and its tokens are good. */
bool job_state_live(enum job_state s);
bool job_state_may_move(enum job_state from, enum job_state to);
