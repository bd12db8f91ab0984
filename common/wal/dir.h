/*
 * The files of a write-ahead log: DATA/wal/NUMBER.wal, NUMBER (20 digits) being
 * that of its first record, DATA/wal/lock, whose owner writes, and
 * DATA/wal/new, a segment that is just being made.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

#define WAL_DIR_NAME "wal" /* in the data directory */
#define WAL_LOCK_NAME "lock"
#define WAL_NEW_NAME "new"
#define WAL_SEGMENT_NAME_BYTES 32
#define WAL_SEGMENTS_MAX 65536 /* more is no log of ours */

struct wal_segment {
	uint64_t first; /* number of its first record */
	uint64_t bytes;
	int64_t mtime_ms;
};

void wal_segment_name(uint64_t first, char out[WAL_SEGMENT_NAME_BYTES]);

/* The segments, oldest first; free() the array. 0, -E2BIG, or negative
 * errno. */
int wal_dir_list(int dir_fd, struct wal_segment **out, size_t *n) MUST_CHECK;

/* Where a replay begins: the oldest record of an execution that was open when
 * the newest segment that can be read was begun. 0: with the oldest record
 * there is. 0 or negative errno. */
int wal_dir_needed(int dir_fd, uint64_t *out) MUST_CHECK;
