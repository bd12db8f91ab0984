/*
 * What to do with an execution that an earlier process has left open, by what
 * the write-ahead log says of it. Pure.
 */
#pragma once

#include <stdbool.h>

struct executor_entry;
struct executor_set;
struct wal_execution;

#define RECOVERY_WHY_BYTES 384

enum recovery_verdict {
	RECOVERY_ADOPT,   /* its pod may live: it is taken up */
	RECOVERY_RELEASE, /* it has not begun: others may have it */
	RECOVERY_LOSE,    /* it has begun, and nobody knows how it ended */
};

struct recovery_plan {
	enum recovery_verdict verdict;
	/* RELEASE: for certain, because the runner gets to know what to run
	 * only after `started` was written. Not after the machine's end, which
	 * may have taken that record with it. */
	bool unbegun;
	const struct executor_entry *executor; /* ADOPT */
	char why[RECOVERY_WHY_BYTES];
};

/* boot: this run of the kernel (process_id.h). */
void recovery_judge(const struct wal_execution *past,
		    const struct executor_set *here, const char *boot,
		    struct recovery_plan *out);
