#include "common/wal/listing.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>

/* No file system that we know has times coarser than that. */
#define LISTING_TICK_MS 2000

void wal_listing_deinit(struct wal_listing *l)
{
	free(l->segments);
	*l = (struct wal_listing){ 0 };
}

/* When the directory was changed last; 0 where it may be changed once more
 * without being seen by that. */
static struct timespec listing_time(int dir_fd)
{
	const struct timespec never = { 0 };
	struct timespec now;
	struct stat st;
	int64_t age_ms;

	if (fstat(dir_fd, &st) < 0 || clock_gettime(CLOCK_REALTIME, &now) < 0)
		return never;
	age_ms = (int64_t)(now.tv_sec - st.st_mtim.tv_sec) * 1000 +
		 (now.tv_nsec - st.st_mtim.tv_nsec) / 1000000;
	return age_ms > LISTING_TICK_MS ? st.st_mtim : never;
}

static bool listing_is_current(const struct wal_listing *l, int dir_fd)
{
	struct stat st;

	return l->time.tv_sec && !fstat(dir_fd, &st) &&
	       st.st_mtim.tv_sec == l->time.tv_sec &&
	       st.st_mtim.tv_nsec == l->time.tv_nsec;
}

int wal_listing_update(struct wal_listing *l, int dir_fd)
{
	struct wal_listing next = { 0 };
	int r;

	if (listing_is_current(l, dir_fd))
		return 0;
	next.time = listing_time(dir_fd); /* before they are listed */
	r = wal_dir_list(dir_fd, &next.segments, &next.n);
	if (r < 0)
		return r;
	wal_listing_deinit(l);
	*l = next;
	return 0;
}

/* How many segments begin with this number or before. */
static size_t listing_count(const struct wal_listing *l, uint64_t first)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (l->segments[middle].first > first)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

uint64_t wal_listing_after(const struct wal_listing *l, uint64_t segment)
{
	size_t i = listing_count(l, segment);

	return i < l->n ? l->segments[i].first : UINT64_MAX;
}

uint64_t wal_listing_holds(const struct wal_listing *l, uint64_t seq)
{
	size_t i = listing_count(l, seq);

	if (!l->n)
		return 0;
	return l->segments[i ? i - 1 : 0].first;
}
