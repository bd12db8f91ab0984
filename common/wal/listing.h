/* The segments of a log that others write: listed again only where one may
 * have been begun or removed since, for there may be thousands. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "common/macro.h"
#include "common/wal/dir.h"

/* Embedded; zero-initialised: nothing is listed. */
struct wal_listing {
	struct wal_segment *segments;
	size_t n;
	struct timespec time; /* of the directory then; 0: list again */
};

/* 0 or negative errno. */
int wal_listing_update(struct wal_listing *l, int dir_fd) MUST_CHECK;
void wal_listing_deinit(struct wal_listing *l);
/* The first segment behind this one; UINT64_MAX: there is none. */
uint64_t wal_listing_after(const struct wal_listing *l, uint64_t segment);
/* The segment that has this record, or the first; 0: there is none. */
uint64_t wal_listing_holds(const struct wal_listing *l, uint64_t seq);
