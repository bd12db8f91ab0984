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
	RECOVERY_ADOPT, /* its pod may live: it is taken up */
	/* It has not begun, for certain: the runner gets to know what to run
	 * only after `started` was written. */
	RECOVERY_RELEASE,
	/* Nobody knows how it ended. After the machine's end that counts for
	 * what was about to begin, too: its end may have taken the record of
	 * that with it. What the backend calls `claimed` is not lost, but given
	 * back. */
	RECOVERY_LOSE,
};

struct recovery_plan {
	enum recovery_verdict verdict;
	const struct executor_entry *executor; /* ADOPT */
	char why[RECOVERY_WHY_BYTES];
};

/* boot: this run of the kernel (process_id.h). */
void recovery_judge(const struct wal_execution *past,
		    const struct executor_set *here, const char *boot,
		    struct recovery_plan *out);
