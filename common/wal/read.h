/*
 * Reads a write-ahead log from the oldest record to the newest, without a
 * lock, also while somebody writes it. What cannot be read is told in its
 * place, never skipped in silence. Holds two records' bytes at most.
 *
 *	while (!(r = wal_reader_next(reader, &item)))
 *		if (item.damage.kind)
 *			...
 *		else if (wal_record_decode(item.line, item.len, &record))
 *			wal_item_damage(&item, &damage);
 *	if (r == WAL_READ_E_END && wal_reader_tail(reader, &damage))
 *		...
 *
 * At the end one may come again later: what was appended since is read, and
 * the segments that were begun.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"
#include "common/wal/damage.h"

struct wal_reader;

enum {
	WAL_READ_E_END = 1, /* that is all, for now */
};

struct wal_item {
	struct wal_damage damage; /* kind NONE: a record, below */
	const char *line;         /* until the next call; no line feed */
	size_t len;
	uint64_t seq;
	uint32_t crc;
	uint64_t segment; /* the first record of its segment */
	uint64_t offset;  /* of the line in it */
};

/* Begins with the segment that has the record number from; 0: the oldest.
 * dir: DATA/wal. 0, -ENOMEM or negative errno (-ENOENT: there is no log). */
int wal_reader_new(struct wal_reader **out, const char *dir,
		   uint64_t from) MUST_CHECK;
void wal_reader_free(struct wal_reader *r);

/* 0, WAL_READ_E_END or negative errno: the file cannot be read. Records below
 * from are left out. */
int wal_reader_next(struct wal_reader *r, struct wal_item *out) MUST_CHECK;
/* Of a record whose bytes are right and that wal_record_decode() cannot read
 * (-EBADMSG): no version of ours wrote it. */
void wal_item_damage(const struct wal_item *item, struct wal_damage *out);
/* After WAL_READ_E_END: whether the newest segment ends with something else
 * than a record. */
bool wal_reader_tail(const struct wal_reader *r, struct wal_damage *out);

/* What was read last: its number and CRC, 0 before the first. */
uint64_t wal_reader_last(const struct wal_reader *r, uint32_t *crc);
