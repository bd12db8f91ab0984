/* A directory for a write-ahead log, and segments written by hand. */
#pragma once

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/wal/read.h"
#include "common/wal/record.h"

#define TEST_IN_DIR(fn)                                         \
	cmocka_unit_test_setup_teardown(fn, wal_fixture_set_up, \
					wal_fixture_tear_down)

struct wal_fixture {
	char data_dir[64]; /* of an orchestrator */
	char dir[80];      /* its wal/ */
};

int wal_fixture_set_up(void **state);
int wal_fixture_tear_down(void **state);

/* A segment in memory: its first record has this number, and crc becomes that
 * of the last record. */
void wal_fixture_begin(struct buf *b, uint64_t seq, uint64_t needed,
		       uint32_t *crc);
/* One more record, of about this size. */
void wal_fixture_add(struct buf *b, uint64_t seq, enum wal_type type,
		     const char *execution, size_t data_bytes, uint32_t *crc);
void wal_fixture_write(const struct wal_fixture *f, uint64_t first,
		       const void *data, size_t len);

/* What a reader says of the whole directory, as one line: "1 2 3",
 * "1 [unreadable FILE 120+80 2-2] 3", "… [torn …]" at the end. */
char *wal_fixture_read(const struct wal_fixture *f, uint64_t from);
/* All of it is this. */
void wal_fixture_expect(const struct wal_fixture *f, const char *expected);
