#include "wal_writer_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "common/wal/dir.h"

/* --- the disk ------------------------------------------------------------- */

struct writer_disk writer_disk;

ssize_t __real_pwrite64(int fd, const void *data, size_t len, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t len, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t len, off_t offset)
{
	if (writer_disk.write_errno && len == 1) {
		errno = writer_disk.write_errno;
		return -1;
	}
	return __real_pwrite64(fd, data,
			       writer_disk.write_errno ? (len + 1) / 2 : len,
			       offset);
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
	writer_disk.syncs++;
	if (writer_disk.sync_errno) {
		errno = writer_disk.sync_errno;
		return -1;
	}
	return __real_fdatasync(fd);
}

int __real_ftruncate64(int fd, off_t len);
int __wrap_ftruncate64(int fd, off_t len);
int __wrap_ftruncate64(int fd, off_t len)
{
	if (writer_disk.truncate_fails) {
		errno = EIO;
		return -1;
	}
	return __real_ftruncate64(fd, len);
}

/* --- the writer ----------------------------------------------------------- */

static void on_damage(const struct wal_damage *d, void *ctx)
{
	struct writer *w = ctx;

	assert_int_equal(
		buf_printf(&w->damage, "%s ", wal_damage_name(d->kind)), 0);
}

static void on_problem(void *ctx)
{
	struct writer *w = ctx;

	w->problems++;
	event_base_loopbreak(w->base);
}

void writer_init(struct writer *w, const struct wal_fixture *f)
{
	*w = (struct writer){ .f = f, .base = event_base_new() };
	w->config = (struct wal_config){ .base = w->base,
					 .data_dir = f->data_dir,
					 .instance = "in_test",
					 .retry_ms = 20,
					 .on_damage = on_damage,
					 .on_problem = on_problem,
					 .ctx = w };
	memset(&writer_disk, 0, sizeof(writer_disk));
}

void writer_open(struct writer *w)
{
	char err[512];
	int r = wal_open(&w->wal, &w->config, err, sizeof(err));

	if (r)
		fail_msg("%s", err);
}

void writer_close(struct writer *w)
{
	wal_close(w->wal);
	w->wal = NULL;
}

void writer_deinit(struct writer *w)
{
	writer_close(w);
	event_base_free(w->base);
	buf_deinit(&w->damage);
}

uint64_t writer_append(struct writer *w, size_t bytes)
{
	_cleanup_free_ char *text = malloc(bytes + 1);
	json_t *data;
	int64_t seq;

	memset(text, 'x', bytes);
	text[bytes] = '\0';
	data = json_pack("{s:s}", "text", text);
	seq = wal_append(w->wal, WAL_CLAIMED, "job_1", "ex_1", data);
	json_decref(data);
	assert_true(seq > 0);
	return (uint64_t)seq;
}

void writer_on_sync(int r, void *ctx)
{
	struct writer *w = ctx;

	assert_int_equal(r, 0);
	w->synced++;
	event_base_loopbreak(w->base);
}

void writer_sync(struct writer *w)
{
	int before = w->synced;

	assert_int_equal(wal_sync(w->wal, writer_on_sync, w), 0);
	assert_int_equal(w->synced, before);
	while (w->synced == before)
		assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
}

void writer_wait_for_problem(struct writer *w, int n)
{
	while (w->problems < n)
		assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
}

void writer_segment_path(const struct writer *w, uint64_t first, char *path,
			 size_t size)
{
	char name[WAL_SEGMENT_NAME_BYTES];

	wal_segment_name(first, name);
	snprintf(path, size, "%s/%s", w->f->dir, name);
}

void writer_read_segment(const struct writer *w, uint64_t first,
			 struct buf *out)
{
	char path[160];
	int fd;

	writer_segment_path(w, first, path, sizeof(path));
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(file_read_all(fd, 1 << 24, out), 0);
	close(fd);
}

size_t writer_count_segments(const struct writer *w)
{
	struct wal_segment *segments;
	size_t n;
	int fd = open(w->f->dir, O_RDONLY | O_DIRECTORY);

	assert_int_equal(wal_dir_list(fd, &segments, &n), 0);
	free(segments);
	close(fd);
	return n;
}
