/*
 * How an execution ended, in the words of the job's states and of a person.
 * Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"
#include "orchestrator/telemetry.h"
#include "orchestrator/usage.h"

#define OUTCOME_REASON_MAX_BYTES 512

struct cgroup_usage;

/* What the runner's EXIT says. Zero-initialised is "has not exited". */
struct outcome_exit {
	bool exited;
	int exit_code; /* 128 + signal when a signal ended it; -1: none */
	int signal;    /* 0: none */
	bool oom_killed;
	/* Why the script could not be started; "" where it was. */
	char error[OUTCOME_REASON_MAX_BYTES];
	struct usage usage;
};

/* 0, or -EINVAL for what is no EXIT message. */
int outcome_exit_parse(struct outcome_exit *out, const void *data,
		       size_t len) MUST_CHECK;

/* Why the orchestrator ended it; the first cause is the one that counts. */
enum outcome_cause {
	OUTCOME_CAUSE_NONE,    /* it ended by itself */
	OUTCOME_CAUSE_TIMEOUT, /* detail is not used */
	OUTCOME_CAUSE_CANCEL,  /* detail: who or why */
	OUTCOME_CAUSE_FAILURE, /* detail: what broke, a sentence */
	OUTCOME_CAUSE_LOST,    /* detail: why nobody knows how it ended */
};

struct outcome_facts {
	enum outcome_cause cause;
	const char *detail;
	uint64_t timeout_ms;
	uint32_t memory_mb;
	bool oom_killed;                     /* the executor says so */
	const struct cgroup_usage *measured; /* by the executor; or NULL */
	const struct telemetry *telemetry;   /* or NULL */
	struct outcome_exit exit;
};

struct outcome {
	const char
		*state; /* succeeded | failed | timed_out | cancelled | lost */
	char reason[OUTCOME_REASON_MAX_BYTES]; /* "" when it succeeded */
	bool oom_killed;
	struct outcome_exit exit;
	struct usage usage;
	struct telemetry telemetry;
};

void outcome_judge(const struct outcome_facts *facts, struct outcome *out);
