#include "orchestrator/wal_retain.h"

#include <unistd.h>

#include "common/macro.h"
#include "common/wal/dir.h"
#include "orchestrator/wal_thread.h"

static uint64_t retain_total(const struct wal_segment *segments, size_t n)
{
	uint64_t total = 0;

	for (size_t i = 0; i < n; i++)
		total += segments[i].bytes;
	return total;
}

void wal_retain(int dir_fd, const struct wal_keep *keep)
{
	_cleanup_free_ struct wal_segment *segments = NULL;
	char name[WAL_SEGMENT_NAME_BYTES];
	uint64_t total;
	size_t i, n;

	if (wal_dir_list(dir_fd, &segments, &n) < 0)
		return;
	total = retain_total(segments, n);
	for (i = 0; i + 1 < n; i++) {
		const struct wal_segment *s = &segments[i];

		if (total <= keep->bytes && s->mtime_ms >= keep->since_ms)
			break;
		/* Its records are those before the next one's first. */
		if (segments[i + 1].first > keep->needed)
			break;
		wal_segment_name(s->first, name);
		if (unlinkat(dir_fd, name, 0) < 0)
			break;
		total -= s->bytes;
	}
	/* One that comes back after a crash is removed again. */
	if (i > 0 && fsync(dir_fd) < 0)
		return;
}
