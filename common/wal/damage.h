/*
 * What of a write-ahead log cannot be read, or does not count: where, and which
 * records are missing for it. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/wal/dir.h"

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

/* "torn", "unreadable", "gap", "first", "set_aside". */
const char *wal_damage_name(enum wal_damage_kind kind);
/* A sentence without a full stop: what is wrong, where, what is missing. */
void wal_damage_text(const struct wal_damage *d, char *out, size_t size);
