/*
 * The files of a write-ahead log: DATA/wal/NUMBER.wal, NUMBER (20 digits) being
 * that of its first record, DATA/wal/lock, whose owner writes, and
 * DATA/wal/new, a segment that is just being made.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

#define WAL_DIR_NAME "wal" /* in the data directory */
#define WAL_LOCK_NAME "lock"
#define WAL_NEW_NAME "new"
#define WAL_SEGMENT_NAME_BYTES 32
#define WAL_SEGMENTS_MAX 65536 /* more is no log of ours */
/* Four of the largest that are begun; what an orchestrator writes at once
 * behind that is less. */
#define WAL_SEGMENT_MAX_BYTES (64ULL * 1024 * 1024)
/* At a million records a second it takes 70000 years. */
#define WAL_SEQ_MAX (UINT64_C(1) << 61)

struct stat;

struct wal_segment {
	uint64_t first; /* number of its first record */
	uint64_t bytes;
	int64_t mtime_ms;
};

void wal_segment_name(uint64_t first, char out[WAL_SEGMENT_NAME_BYTES]);

/* Whether it is a name as wal_segment_name() makes them. */
bool wal_segment_parse(const char *name, uint64_t *first);

/* Each entry of the directory but "." and "..", in no order, with what it is;
 * one that was removed meanwhile is left out. Ends with the first that is not
 * 0. 0 or negative errno. */
int wal_dir_walk(int dir_fd,
		 int (*on_entry)(const char *name, const struct stat *st,
				 void *ctx),
		 void *ctx) MUST_CHECK;

/* The segments, without what is none (alien.h), oldest first; free() the array.
 * 0, -E2BIG, or negative errno. */
int wal_dir_list(int dir_fd, struct wal_segment **out, size_t *n) MUST_CHECK;

/* Where a replay begins: the oldest record of an execution that was open when
 * the newest segment that can be read was begun. 0: with the oldest record
 * there is. 0 or negative errno. */
int wal_dir_needed(int dir_fd, uint64_t *out) MUST_CHECK;
