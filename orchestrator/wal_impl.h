/* Inside the write-ahead log: wal.c, wal_write.c, wal_start.c. */
#pragma once

#include <event2/event.h>
#include <limits.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/id.h"
#include "orchestrator/wal.h"
#include "orchestrator/wal_thread.h"

#define WAL_PROBLEM_BYTES (PATH_MAX + 256)
/* How often segments that have become too old are looked for. */
#define WAL_RETAIN_MS (60 * 60 * 1000)

struct wal_waiter {
	TAILQ_ENTRY(wal_waiter) entry;
	uint64_t count; /* so many records must be on disk */
	void (*done)(int r, void *ctx);
	void *ctx;
};

/* A place in the log. */
struct wal_mark {
	size_t bytes;   /* of pending, up to here */
	uint64_t seq;   /* the last record before it */
	uint64_t count; /* of records that were appended, up to here */
	uint32_t crc;   /* of the last one */
};

struct wal {
	struct wal_config config;
	char instance[ID_MAX_BYTES];
	char dir[PATH_MAX];
	int dir_fd, lock_fd;
	struct event *turn, *sync_timer, *retry, *retain_timer;
	struct wal_thread *thread;

	/* The segment that is written, and the one before it while that is
	 * not synced. */
	int fd, old_fd;
	uint64_t first;
	uint64_t bytes, synced_bytes, old_synced_bytes;
	bool dir_due;       /* the directory has to be synced, too */
	bool retain_due;    /* segments may be too old */
	struct wal_job job; /* under way, where the thread is busy */
	uint64_t job_bytes; /* of its fd */

	/* Lines that are not synced. Marks: how much of them was appended, was
	 * written, is being synced; where a new segment begins. */
	struct buf pending;
	struct wal_mark end, written, syncing, rotate;
	bool rotating;          /* rotate counts */
	struct wal_mark synced; /* bytes 0: pending begins here */
	uint64_t needed;
	TAILQ_HEAD(, wal_waiter) waiters;

	bool abandoned; /* the segment: a new one is begun with all there is */
	bool stalled;   /* nothing is written before the next retry */
	char problem[WAL_PROBLEM_BYTES]; /* "": none */
	bool problem_new;
};

/* --- wal_start.c ---------------------------------------------------------- */

/* Makes and locks the directory, looks at what is there. The segment goes on,
 * or a new one is due. 0 or negative errno with a sentence. */
int wal_start(struct wal *w, char *err, size_t err_size) MUST_CHECK;

/* --- wal_write.c ---------------------------------------------------------- */

/* Encodes a record at the end of pending. 0 or negative errno. */
int wal_write_add(struct wal *w, enum wal_type type, const char *job,
		  const char *execution, const json_t *data) MUST_CHECK;
/* A new segment begins here: adds its first record. 0 or -ENOMEM. */
int wal_write_rotate(struct wal *w) MUST_CHECK;
/* Gives all of pending to the kernel. 0, or negative errno and nothing of it
 * is half written. */
int wal_write_pending(struct wal *w) MUST_CHECK;
