/*
 * Reads a write-ahead log from the oldest record to the newest, without a
 * lock, also while somebody writes it. What cannot be read is told in its
 * place, never skipped in silence. Holds two records' bytes at most.
 *
 *	while (!(r = wal_reader_next(reader, &item)))
 *		if (item.damage.kind)
 *			...
 *		else
 *			wal_record_decode(item.line, item.len, &record);
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
#include "common/wal/dir.h"

struct wal_reader;

enum {
	WAL_READ_E_END = 1, /* that is all, for now */
};

enum wal_damage_kind {
	WAL_DAMAGE_NONE,
	/* The end of the newest segment is no whole record: a write that was
	 * cut short, or is under way. Of wal_reader_tail() only. */
	WAL_DAMAGE_TORN,
	WAL_DAMAGE_UNREADABLE, /* bytes that are no record, others follow */
	WAL_DAMAGE_GAP,        /* records are missing, segments perhaps */
	/* A segment does not begin as it should, or does not belong behind the
	 * one before it. */
	WAL_DAMAGE_FIRST,
	/* No damage: the disk failed to take these records, and they were
	 * written once more in the next segment. */
	WAL_DAMAGE_SET_ASIDE,
};

struct wal_damage {
	enum wal_damage_kind kind;
	char file[WAL_SEGMENT_NAME_BYTES];
	uint64_t offset, len; /* bytes of the file */
	/* Numbers of the records that are missing for it; 0: none is, or it
	 * is not known. */
	uint64_t missing_first, missing_last;
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

/* "torn", "unreadable", "gap", "first", "set_aside". */
const char *wal_damage_name(enum wal_damage_kind kind);
/* A sentence without a full stop: what is wrong, where, what is missing. */
void wal_damage_text(const struct wal_damage *d, char *out, size_t size);

/* Begins with the segment that has the record number from; 0: the oldest.
 * dir: DATA/wal. 0, -ENOMEM or negative errno (-ENOENT: there is no log). */
int wal_reader_new(struct wal_reader **out, const char *dir,
		   uint64_t from) MUST_CHECK;
void wal_reader_free(struct wal_reader *r);

/* 0, WAL_READ_E_END or negative errno: the file cannot be read. Records below
 * from are left out. */
int wal_reader_next(struct wal_reader *r, struct wal_item *out) MUST_CHECK;
/* After WAL_READ_E_END: whether the newest segment ends with something else
 * than a record. */
bool wal_reader_tail(const struct wal_reader *r, struct wal_damage *out);

/* What was read last: its number and CRC, 0 before the first. */
uint64_t wal_reader_last(const struct wal_reader *r, uint32_t *crc);
