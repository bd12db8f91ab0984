/*
 * The orchestrator's write-ahead log: what it is about to do, and did, with
 * each execution, so that the next process knows after any death of this one.
 * ARCHITECTURE.md (*Write-ahead log*) has its form; common/wal/ reads it.
 *
 *   wal_append ─▶ memory ─▶ write(2), at the end of the loop turn ─▶ fsync,
 *   in a thread, within WAL_SYNC_MS ─▶ wal_sync's callback
 *
 * Once written, a record outlives this process; once synced, the machine.
 * Until it is synced it is kept in memory too: a kernel that failed an fsync
 * has thrown the pages away and says so only once, so nothing of that segment
 * after the last good fsync is believed; a new segment begins there, with
 * these records in it.
 *
 *   WHOLE ─▶ PROBLEM (write or fsync failed) ─▶ WHOLE (a retry, every
 *            WAL_RETRY_MS, has written everything)
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"
#include "common/wal/read.h"
#include "common/wal/record.h"

struct event_base;
struct wal;

#define WAL_SYNC_MS 10 /* from write to fsync, where nobody waits for it */
#define WAL_RETRY_MS 1000
/* Records that are not synced: a second at the rate of a slow disk. */
#define WAL_BACKLOG_MAX_BYTES (4 * 1024 * 1024)
#define WAL_SEGMENT_BYTES (16 * 1024 * 1024)
#define WAL_KEEP_BYTES (256 * 1024 * 1024)
#define WAL_KEEP_DAYS 14

struct wal_config {
	struct event_base *base;
	const char *data_dir;
	const char *instance;   /* whose log it is: in_… */
	uint64_t segment_bytes; /* 0: WAL_SEGMENT_BYTES, and so on */
	uint64_t keep_bytes;
	uint64_t keep_days;
	uint64_t retry_ms;
	/* Each damage that is found at the opening, after the log line; may be
	 * NULL. From inside wal_open(). */
	void (*on_damage)(const struct wal_damage *d, void *ctx);
	/* wal_problem() has changed; may be NULL. From the loop. */
	void (*on_problem)(void *ctx);
	void *ctx;
};

/*
 * Takes the lock, verifies the newest records, cuts off what the last process
 * could not finish, and appends `opened`. Blocks: for the start of a program.
 * 0, or negative errno with a sentence in err: -EBUSY another process has it.
 */
int wal_open(struct wal **out, const struct wal_config *config, char *err,
	     size_t err_size) MUST_CHECK;
/* Appends `closed`, writes and syncs what is left (blocks), and gives up the
 * lock. Callbacks of wal_sync() that wait get -ECANCELED. Accepts NULL. */
void wal_close(struct wal *w);

/*
 * Appends a record; data is borrowed and may be NULL, as may job and execution.
 * Its number, or negative errno: -ENOBUFS while the backlog is full
 * (wal_problem() says why), -EMSGSIZE, -ENOMEM. When a disk failed and a
 * segment is written once more, numbers grow by one.
 */
int64_t wal_append(struct wal *w, enum wal_type type, const char *job,
		   const char *execution, const json_t *data) MUST_CHECK;
/* Gives the kernel everything that was appended, now. 0 or negative errno:
 * it stays in memory and is tried again. */
int wal_write_now(struct wal *w) MUST_CHECK;
/* Calls done from the loop, never from inside, once everything that was
 * appended so far is on disk: r 0; or -ECANCELED. While there is a problem it
 * waits. 0 or -ENOMEM. */
int wal_sync(struct wal *w, void (*done)(int r, void *ctx),
	     void *ctx) MUST_CHECK;
/* The callbacks of ctx are not made any more. */
void wal_sync_forget(struct wal *w, const void *ctx);

/* The number that was given last, and the last one that is on disk. */
uint64_t wal_seq(const struct wal *w);
uint64_t wal_synced_seq(const struct wal *w);

/* Records from seq on must be kept: the oldest one of an execution that is
 * open; UINT64_MAX for none. Until the first call: as the last process had
 * it. */
void wal_needed(struct wal *w, uint64_t seq);

/* NULL, or a sentence: why records cannot be put on disk, and what to do. */
const char *wal_problem(const struct wal *w);
