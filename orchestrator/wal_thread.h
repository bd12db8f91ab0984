/*
 * What of the log may wait for a disk, and so is no work for the loop: fsync,
 * and the removal of old segments. One job at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/macro.h"

struct event_base;
struct wal_thread;

struct wal_keep {
	uint64_t bytes;   /* of all segments together */
	int64_t since_ms; /* what was last written before is too old */
	uint64_t needed;  /* this record and those behind it stay */
};

struct wal_job {
	int old_fd, fd; /* synced in this order; -1: not */
	int dir_fd;
	bool dir; /* sync the directory, too: a segment was begun */
	bool retain;
	struct wal_keep keep;
};

/* on_done: from the loop, after each job; r: 0, or negative errno where
 * something could not be synced. */
int wal_thread_new(struct wal_thread **out, struct event_base *base,
		   void (*on_done)(int r, void *ctx), void *ctx) MUST_CHECK;
/* Waits for the job under way, whose result is returned, and takes no more;
 * on_done is not called any more. 0 or negative errno. */
int wal_thread_finish(struct wal_thread *t) MUST_CHECK;
/* The same, whatever the result is, and frees it. Accepts NULL. */
void wal_thread_free(struct wal_thread *t);

void wal_thread_start(struct wal_thread *t, const struct wal_job *job);
bool wal_thread_busy(const struct wal_thread *t);

/* The job itself, for who may wait. 0 or negative errno. */
int wal_job_run(const struct wal_job *job) MUST_CHECK;
