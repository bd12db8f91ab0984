/* Records of the write-ahead log as people read them: one line each. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"
#include "common/wal/alien.h"
#include "common/wal/read.h"
#include "common/wal/record.h"

/* Which records are wanted. NULL, 0: all. */
struct wal_filter {
	const char *job, *execution;
	const char *const *types;
	size_t n_types;
	int64_t since_ms; /* wall clock */
};

bool wal_filter_matches(const struct wal_filter *f,
			const struct wal_record *record);

/* The line over them. */
void wal_view_head(void);
/* To stdout; json: the line as it is in the file, but that on a terminal
 * control characters are no orders. */
void wal_view_record(const struct wal_item *item,
		     const struct wal_record *record, bool json);
/* In place: to stderr, or, json, to stdout as an object. */
void wal_view_damage(const struct wal_damage *d, bool json);

/* {"kind","file","offset","bytes","missing_first","missing_last"}, or NULL. */
json_t *wal_view_damage_json(const struct wal_damage *d) MUST_CHECK;
/* {"kind":"alien","file","text","blocks"}, or NULL. */
json_t *wal_view_alien_json(const struct wal_alien *a) MUST_CHECK;
