/* A log that is written, on a disk that can be told to fail: link it with
 * --wrap for pwrite64, fdatasync and ftruncate64. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "orchestrator/wal.h"
#include "wal_fixture.h"

/* All zero: it works; writer_init() makes it so. */
struct writer_disk {
	int write_errno; /* after half of the bytes, until it is 0 again */
	atomic_int sync_errno;
	bool truncate_fails;
	atomic_int syncs;
};
extern struct writer_disk writer_disk;

struct writer {
	const struct wal_fixture *f;
	struct event_base *base;
	struct wal *wal;
	struct wal_config config;
	int problems; /* how often on_problem was called */
	struct buf damage;
	int synced; /* callbacks */
};

/* Change config before writer_open(), which fails the test where it fails. */
void writer_init(struct writer *w, const struct wal_fixture *f);
void writer_open(struct writer *w);
void writer_close(struct writer *w);
void writer_deinit(struct writer *w);

/* A record of about this size; its number. */
uint64_t writer_append(struct writer *w, size_t bytes);
/* For wal_sync(): counts in synced, and breaks the loop; ctx is the writer. */
void writer_on_sync(int r, void *ctx);
/* Runs the loop until everything is on disk. */
void writer_sync(struct writer *w);
/* … until wal_problem() has changed n times. */
void writer_wait_for_problem(struct writer *w, int n);

void writer_segment_path(const struct writer *w, uint64_t first, char *path,
			 size_t size);
void writer_read_segment(const struct writer *w, uint64_t first,
			 struct buf *out);
size_t writer_count_segments(const struct writer *w);
