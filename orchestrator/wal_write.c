/* From memory into segments. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fail_point.h"
#include "common/wal/dir.h"
#include "orchestrator/wal_impl.h"

/* --- pending -------------------------------------------------------------- */

static int write_encode(struct buf *b, struct wal_mark *end,
			const struct wal_record *record)
{
	int r = wal_record_encode(b, record, &end->crc);

	if (r < 0)
		return r;
	end->bytes = b->len;
	end->seq = record->seq;
	if (record->type != WAL_SEGMENT)
		end->count++;
	return 0;
}

int wal_write_add(struct wal *w, enum wal_type type, const char *job,
		  const char *execution, const json_t *data)
{
	const struct wal_record record = {
		.seq = w->end.seq + 1,
		.time_ms = clock_wall_ms(),
		.type = type,
		.job = job,
		.execution = execution,
		.data = data,
	};

	return write_encode(&w->pending, &w->end, &record);
}

/* The first record of a segment, behind what end marks. */
static int write_first(const struct wal *w, struct buf *b, struct wal_mark *end)
{
	struct wal_record record = {
		.seq = end->seq + 1,
		.time_ms = clock_wall_ms(),
		.type = WAL_SEGMENT,
	};
	char previous[16];
	json_t *data;
	int r;

	snprintf(previous, sizeof(previous), "%08x", end->crc);
	data = json_pack("{s:i, s:s, s:s, s:I}", "version", WAL_VERSION,
			 "instance", w->instance, "previous", previous,
			 "needed", (json_int_t)MIN(w->needed, record.seq));
	if (!data)
		return -ENOMEM;
	record.data = data;
	r = write_encode(b, end, &record);
	json_decref(data);
	return r;
}

int wal_write_rotate(struct wal *w)
{
	const struct wal_mark here = w->end;
	int r = write_first(w, &w->pending, &w->end);

	if (r < 0)
		return r;
	w->rotate = here;
	w->rotating = true;
	return 0;
}

/* --- files ---------------------------------------------------------------- */

static int write_at(int fd, const uint8_t *data, size_t len, uint64_t offset)
{
	int r = FAIL_POINT_ERROR("wal.write");

	while (!r && len) {
		ssize_t n = pwrite(fd, data, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return r;
}

/* What belongs into the segment that is open. */
static int write_up_to(struct wal *w, const struct wal_mark *mark)
{
	size_t len = mark->bytes - w->written.bytes;
	int r;

	if (!len)
		return 0;
	r = write_at(w->fd, w->pending.data + w->written.bytes, len, w->bytes);
	if (!r) {
		w->bytes += len;
		w->written = *mark;
		return 0;
	}
	/* Where half a line cannot be taken back, nothing may follow it. */
	if (ftruncate(w->fd, (off_t)w->bytes) < 0)
		w->abandoned = true;
	return r;
}

/* Makes the file that the segment becomes. Its descriptor or negative
 * errno. */
static int write_new(const struct wal *w, const uint8_t *data, size_t len,
		     const char *name)
{
	int fd = openat(w->dir_fd, WAL_NEW_NAME,
			O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
			0600);
	int r;

	if (fd < 0)
		return -errno;
	r = write_at(fd, data, len, 0);
	if (!r && renameat(w->dir_fd, WAL_NEW_NAME, w->dir_fd, name) < 0)
		r = -errno;
	if (!r)
		return fd;
	close(fd);
	/* A full disk has the more use of it. */
	if (unlinkat(w->dir_fd, WAL_NEW_NAME, 0) < 0 && errno != ENOENT)
		return -errno;
	return r;
}

/* The segment that was open is kept until it is synced. */
static void write_leave_segment(struct wal *w)
{
	if (w->fd < 0)
		return;
	w->old_fd = w->fd;
	w->old_synced_bytes = w->synced_bytes;
	w->fd = -1;
}

static int write_begin_segment(struct wal *w)
{
	size_t len = w->end.bytes - w->rotate.bytes;
	char name[WAL_SEGMENT_NAME_BYTES];
	int fd;

	wal_segment_name(w->rotate.seq + 1, name);
	fd = write_new(w, w->pending.data + w->rotate.bytes, len, name);
	if (fd < 0)
		return fd;
	FAIL_POINT("wal.rotate");
	write_leave_segment(w);
	w->fd = fd;
	w->first = w->rotate.seq + 1;
	w->bytes = len;
	w->synced_bytes = 0;
	w->written = w->end;
	w->rotating = false;
	w->dir_due = true;
	w->retain_due = true;
	return 0;
}

/* --- once more ------------------------------------------------------------ */

static int write_again_line(struct buf *b, struct wal_mark *end,
			    const char *line, size_t len)
{
	struct wal_record record;
	bool first;
	int r = wal_record_decode(line, len, &record);

	if (r < 0)
		return r;
	first = record.type == WAL_SEGMENT;
	wal_record_deinit(&record);
	if (first)
		return 0;
	r = wal_record_renumber(b, line, len, end->seq + 1, &end->crc);
	if (r < 0)
		return r;
	end->bytes = b->len;
	end->seq++;
	end->count++;
	return 0;
}

/* All that is pending, as a segment of its own. */
static int write_again(const struct wal *w, struct buf *b, struct wal_mark *end)
{
	const char *p = (char *)w->pending.data, *stop = p + w->pending.len;
	int r = write_first(w, b, end);

	while (!r && p < stop) {
		const char *lf = memchr(p, '\n', (size_t)(stop - p));

		r = write_again_line(b, end, p, (size_t)(lf - p));
		p = lf + 1;
	}
	return r;
}

/* Takes back what is not on disk for sure, where that can be done: a reader
 * that finds it knows by the next segment's number that it does not count. */
static void write_drop_segments(struct wal *w)
{
	char name[WAL_SEGMENT_NAME_BYTES];

	if (w->old_fd >= 0) {
		wal_segment_name(w->first, name);
		if (unlinkat(w->dir_fd, name, 0) < 0 ||
		    ftruncate(w->old_fd, (off_t)w->old_synced_bytes) < 0)
			w->dir_due = true;
		close(w->old_fd);
	} else if (w->fd >= 0 && ftruncate(w->fd, (off_t)w->synced_bytes) < 0) {
		w->dir_due = true;
	}
	if (w->fd >= 0)
		close(w->fd);
	w->fd = w->old_fd = -1;
}

/* The segments since the last sync cannot be trusted. */
static int write_abandon(struct wal *w)
{
	struct wal_mark end = w->synced;
	struct buf again = { 0 };
	int r = wal_thread_busy(w->thread) ? -EBUSY
					   : write_again(w, &again, &end);

	if (r < 0) {
		buf_deinit(&again);
		return r;
	}
	write_drop_segments(w);
	buf_deinit(&w->pending);
	w->pending = again;
	w->end = end;
	w->rotate = w->written = w->synced;
	w->rotating = true;
	w->abandoned = false;
	return 0;
}

int wal_write_pending(struct wal *w)
{
	int r = w->abandoned ? write_abandon(w) : 0;

	if (!r && w->rotating) {
		r = write_up_to(w, &w->rotate);
		if (!r)
			r = write_begin_segment(w);
	}
	return r ? r : write_up_to(w, &w->end);
}
