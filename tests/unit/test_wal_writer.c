#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/json.h"
#include "common/log.h"
#include "common/wal/dir.h"
#include "common/wal/replay.h"
#include "orchestrator/wal.h"
#include "wal_fixture.h"

#define TEST_IN_DIR(fn)                                         \
	cmocka_unit_test_setup_teardown(fn, wal_fixture_set_up, \
					wal_fixture_tear_down)

/* --- a disk that fails ---------------------------------------------------- */

static struct {
	int write_errno; /* after half of the bytes, until it is 0 again */
	atomic_int sync_errno;
	bool truncate_fails;
	atomic_int syncs;
} disk;

ssize_t __real_pwrite64(int fd, const void *data, size_t len, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t len, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t len, off_t offset)
{
	if (disk.write_errno && len == 1) {
		errno = disk.write_errno;
		return -1;
	}
	return __real_pwrite64(fd, data, disk.write_errno ? (len + 1) / 2 : len,
			       offset);
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
	disk.syncs++;
	if (disk.sync_errno) {
		errno = disk.sync_errno;
		return -1;
	}
	return __real_fdatasync(fd);
}

int __real_ftruncate64(int fd, off_t len);
int __wrap_ftruncate64(int fd, off_t len);
int __wrap_ftruncate64(int fd, off_t len)
{
	if (disk.truncate_fails) {
		errno = EIO;
		return -1;
	}
	return __real_ftruncate64(fd, len);
}

/* --- a writer ------------------------------------------------------------- */

struct writer {
	const struct wal_fixture *f;
	struct event_base *base;
	struct wal *wal;
	struct wal_config config;
	int problems; /* how often on_problem was called */
	struct buf damage;
	int synced; /* callbacks */
};

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

static void writer_init(struct writer *w, const struct wal_fixture *f)
{
	*w = (struct writer){ .f = f, .base = event_base_new() };
	w->config = (struct wal_config){ .base = w->base,
					 .data_dir = f->data_dir,
					 .instance = "in_test",
					 .retry_ms = 20,
					 .on_damage = on_damage,
					 .on_problem = on_problem,
					 .ctx = w };
	memset(&disk, 0, sizeof(disk));
}

static void writer_open(struct writer *w)
{
	char err[512];
	int r = wal_open(&w->wal, &w->config, err, sizeof(err));

	if (r)
		fail_msg("%s", err);
}

static void writer_close(struct writer *w)
{
	wal_close(w->wal);
	w->wal = NULL;
}

static void writer_deinit(struct writer *w)
{
	writer_close(w);
	event_base_free(w->base);
	buf_deinit(&w->damage);
}

static uint64_t append(struct writer *w, size_t bytes)
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

static void on_sync(int r, void *ctx)
{
	struct writer *w = ctx;

	assert_int_equal(r, 0);
	w->synced++;
	event_base_loopbreak(w->base);
}

static void writer_sync(struct writer *w)
{
	int before = w->synced;

	assert_int_equal(wal_sync(w->wal, on_sync, w), 0);
	assert_int_equal(w->synced, before);
	while (w->synced == before)
		assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
}

static void writer_wait_for_problem(struct writer *w, int n)
{
	while (w->problems < n)
		assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
}

static void expect_read(const struct writer *w, const char *expected)
{
	char *text = wal_fixture_read(w->f, 0);

	assert_string_equal(text, expected);
	free(text);
}

static void segment_path(const struct writer *w, uint64_t first, char *path,
			 size_t size)
{
	char name[WAL_SEGMENT_NAME_BYTES];

	wal_segment_name(first, name);
	snprintf(path, size, "%s/%s", w->f->dir, name);
}

static void segment_read(const struct writer *w, uint64_t first,
			 struct buf *out)
{
	char path[160];
	int fd;

	segment_path(w, first, path, sizeof(path));
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(file_read_all(fd, 1 << 24, out), 0);
	close(fd);
}

static size_t count_segments(const struct writer *w)
{
	struct wal_segment *segments;
	size_t n;
	int fd = open(w->f->dir, O_RDONLY | O_DIRECTORY);

	assert_int_equal(wal_dir_list(fd, &segments, &n), 0);
	free(segments);
	close(fd);
	return n;
}

/* --- the usual life ------------------------------------------------------- */

static void test_records_are_there_afterwards(void **state)
{
	struct writer w;
	struct stat st;
	char path[160];

	writer_init(&w, *state);
	writer_open(&w);
	assert_int_equal(wal_seq(w.wal), 2);
	assert_int_equal(append(&w, 10), 3);
	assert_int_equal(append(&w, 60000), 4);
	writer_sync(&w);
	assert_int_equal(wal_synced_seq(w.wal), 4);
	assert_null(wal_problem(w.wal));
	expect_read(&w, "1 2 3 4");
	writer_close(&w);
	expect_read(&w, "1 2 3 4 5");
	writer_open(&w);
	assert_int_equal(append(&w, 10), 7);
	writer_close(&w);
	expect_read(&w, "1 2 3 4 5 6 7 8");
	assert_int_equal(w.damage.len, 0);
	assert_int_equal(count_segments(&w), 1);
	assert_int_equal(stat(w.f->dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	segment_path(&w, 1, path, sizeof(path));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	writer_deinit(&w);
}

static void test_many_records_are_synced_together(void **state)
{
	struct writer w;

	writer_init(&w, *state);
	writer_open(&w);
	writer_sync(&w);
	disk.syncs = 0;
	for (int i = 0; i < 1000; i++) {
		append(&w, 10);
		assert_int_equal(wal_sync(w.wal, on_sync, &w), 0);
	}
	writer_sync(&w);
	assert_int_equal(w.synced, 1002);
	assert_true(disk.syncs <= 2);
	writer_deinit(&w);
}

static void test_too_large_a_record_is_refused(void **state)
{
	_cleanup_json_ json_t *data = NULL;
	static char text[WAL_RECORD_MAX_BYTES + 1];
	struct writer w;

	memset(text, 'x', sizeof(text) - 1);
	data = json_pack("{s:s}", "text", text);
	writer_init(&w, *state);
	writer_open(&w);
	assert_int_equal(wal_append(w.wal, WAL_OUTPUT, NULL, "ex_1", data),
			 -EMSGSIZE);
	assert_int_equal(append(&w, 10), 3);
	writer_deinit(&w);
}

static void on_cancelled(int r, void *ctx)
{
	*(int *)ctx = r;
}

static void test_callbacks_that_wait_at_the_end(void **state)
{
	int synced = 1, forgotten = 1;
	struct writer w;

	writer_init(&w, *state);
	writer_open(&w);
	append(&w, 10);
	assert_int_equal(wal_sync(w.wal, on_cancelled, &synced), 0);
	assert_int_equal(wal_sync(w.wal, on_cancelled, &forgotten), 0);
	wal_sync_forget(w.wal, &forgotten);
	writer_close(&w);
	assert_int_equal(synced, 0);
	assert_int_equal(forgotten, 1);
	writer_open(&w);
	assert_int_equal(wal_sync(w.wal, on_cancelled, &synced), 0);
	disk.sync_errno = EIO;
	writer_close(&w);
	assert_int_equal(synced, -ECANCELED);
	disk.sync_errno = 0;
	writer_deinit(&w);
}

static void test_second_writer_is_refused(void **state)
{
	struct wal *other;
	struct writer w;
	char err[512], pid[32];

	writer_init(&w, *state);
	writer_open(&w);
	assert_int_equal(wal_open(&other, &w.config, err, sizeof(err)), -EBUSY);
	snprintf(pid, sizeof(pid), "(pid %d)", (int)getpid());
	assert_non_null(strstr(err, pid));
	writer_close(&w);
	writer_open(&w);
	writer_deinit(&w);
}

static void test_a_directory_that_cannot_be_used_is_said(void **state)
{
	struct wal *other;
	struct writer w;
	char err[512];

	writer_init(&w, *state);
	w.config.data_dir = "/proc";
	assert_true(wal_open(&other, &w.config, err, sizeof(err)) < 0);
	assert_non_null(strstr(err, "cannot open the log /proc/wal: "));
	w.config.data_dir = w.f->data_dir;
	disk.write_errno = ENOSPC;
	assert_int_equal(wal_open(&other, &w.config, err, sizeof(err)),
			 -ENOSPC);
	assert_non_null(strstr(err, "No space left on device"));
	disk.write_errno = 0;
	writer_open(&w);
	writer_deinit(&w);
}

/* --- rotation and retention ----------------------------------------------- */

static void test_segments_follow_each_other(void **state)
{
	struct writer w;

	writer_init(&w, *state);
	w.config.segment_bytes = 2000;
	writer_open(&w);
	for (int i = 0; i < 50; i++) {
		append(&w, 300);
		if (i % 3 == 0)
			assert_int_equal(wal_write_now(w.wal), 0);
		if (i % 10 == 0)
			writer_sync(&w);
	}
	writer_sync(&w);
	assert_true(count_segments(&w) > 5);
	writer_close(&w);
	writer_open(&w);
	writer_close(&w);
	{
		char *text = wal_fixture_read(w.f, 0);

		assert_null(strchr(text, '['));
		assert_memory_equal(text, "1 2 3 4 5", 9);
		free(text);
	}
	assert_int_equal(w.damage.len, 0);
	writer_deinit(&w);
}

static void fill_segments(struct writer *w, int n)
{
	for (int i = 0; i < n; i++) {
		append(w, 700);
		writer_sync(w);
	}
}

/* Waits until what was due is done: the next sync comes behind it. */
static void settle(struct writer *w)
{
	for (int i = 0; i < 3; i++) {
		append(w, 10);
		writer_sync(w);
	}
}

static void test_old_segments_go_when_nobody_needs_them(void **state)
{
	struct wal_segment *segments;
	struct writer w;
	uint64_t needed;
	size_t n;
	int fd;

	writer_init(&w, *state);
	w.config.segment_bytes = 1000;
	w.config.keep_bytes = 5000;
	writer_open(&w);
	wal_needed(w.wal, 1);
	fill_segments(&w, 20);
	assert_int_equal(count_segments(&w), 11);
	needed = append(&w, 10);
	wal_needed(w.wal, needed);
	fill_segments(&w, 30);
	settle(&w);
	fd = open(w.f->dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(wal_dir_list(fd, &segments, &n), 0);
	assert_true(segments[0].first <= needed);
	assert_true(segments[1].first > needed);
	free(segments);
	wal_needed(w.wal, UINT64_MAX);
	fill_segments(&w, 4);
	settle(&w);
	assert_true(count_segments(&w) <= 6);
	writer_close(&w);
	assert_int_equal(wal_dir_needed(fd, &needed), 0);
	assert_true(needed > 50);
	close(fd);
	writer_deinit(&w);
}

static void test_old_segments_go_when_they_are_old(void **state)
{
	const struct timespec old[2] = { { .tv_sec = 1000 },
					 { .tv_sec = 1000 } };
	struct writer w;
	char path[160];
	size_t before;

	writer_init(&w, *state);
	w.config.segment_bytes = 1000;
	w.config.keep_days = 1;
	writer_open(&w);
	wal_needed(w.wal, UINT64_MAX);
	fill_segments(&w, 10);
	before = count_segments(&w);
	segment_path(&w, 1, path, sizeof(path));
	assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
	fill_segments(&w, 4);
	settle(&w);
	assert_int_equal(access(path, F_OK), -1);
	assert_true(count_segments(&w) >= before);
	writer_deinit(&w);
}

/* --- what an earlier process left ----------------------------------------- */

static void test_torn_tail_is_cut_at_every_byte(void **state)
{
	struct buf whole = { 0 };
	struct writer w;
	size_t last;

	writer_init(&w, *state);
	writer_open(&w);
	append(&w, 10);
	writer_close(&w);
	segment_read(&w, 1, &whole);
	last = whole.len - 1;
	while (whole.data[last - 1] != '\n')
		last--;
	for (size_t len = last; len <= whole.len; len++) {
		bool torn = len > last && len < whole.len;

		wal_fixture_write(w.f, 1, whole.data, len);
		buf_clear(&w.damage);
		writer_open(&w);
		writer_close(&w);
		assert_int_equal(w.damage.len, torn ? strlen("torn ") : 0);
		expect_read(&w, len < whole.len ? "1 2 3 4 5" : "1 2 3 4 5 6");
		assert_int_equal(count_segments(&w), 1);
	}
	buf_deinit(&whole);
	writer_deinit(&w);
}

static void test_segment_without_its_first_record_begins_again(void **state)
{
	struct writer w;

	writer_init(&w, *state);
	writer_open(&w);
	writer_close(&w);
	wal_fixture_write(w.f, 4, "{\"seq\":4,\"ti", 12);
	writer_open(&w);
	assert_int_equal(w.damage.len, strlen("torn "));
	writer_close(&w);
	expect_read(&w, "1 2 3 4 5 6");
	wal_fixture_write(w.f, 7, "", 0);
	writer_open(&w);
	writer_close(&w);
	expect_read(&w, "1 2 3 4 5 6 7 8 9");
	writer_deinit(&w);
}

static void test_zeros_at_the_end_are_cut(void **state)
{
	static const char zeros[100000];
	struct buf whole = { 0 };
	struct writer w;

	writer_init(&w, *state);
	writer_open(&w);
	writer_close(&w);
	segment_read(&w, 1, &whole);
	assert_int_equal(buf_append_str(&whole, "{\"seq\":"), 0);
	assert_int_equal(buf_append(&whole, zeros, sizeof(zeros)), 0);
	wal_fixture_write(w.f, 1, whole.data, whole.len);
	writer_open(&w);
	writer_close(&w);
	expect_read(&w, "1 2 3 4 5");
	buf_deinit(&whole);
	writer_deinit(&w);
}

static void test_unreadable_middle_stays_as_it_is(void **state)
{
	struct buf whole = { 0 }, after = { 0 };
	struct writer w;
	char *text;

	writer_init(&w, *state);
	writer_open(&w);
	append(&w, 100);
	append(&w, 10);
	writer_close(&w);
	segment_read(&w, 1, &whole);
	for (size_t i = 0; i < whole.len; i += 7) {
		char path[160];

		whole.data[i] ^= 0x10;
		wal_fixture_write(w.f, 1, whole.data, whole.len);
		buf_clear(&w.damage);
		writer_open(&w);
		writer_close(&w);
		assert_true(w.damage.len > 0);
		text = wal_fixture_read(w.f, 0);
		if (!strncmp((char *)w.damage.data, "unreadable", 10)) {
			buf_clear(&after);
			segment_read(&w, 1, &after);
			assert_int_equal(after.len, whole.len);
			assert_memory_equal(after.data, whole.data, after.len);
			assert_non_null(strstr(text, "[unreadable 1 "));
			assert_non_null(strstr(text, "5 6 7 8"));
		}
		free(text);
		whole.data[i] ^= 0x10;
		segment_path(&w, 6, path, sizeof(path));
		unlink(path);
	}
	buf_deinit(&whole);
	buf_deinit(&after);
	writer_deinit(&w);
}

static void test_a_long_unreadable_end_is_kept(void **state)
{
	struct buf whole = { 0 }, after = { 0 };
	struct writer w;
	char *text;

	writer_init(&w, *state);
	writer_open(&w);
	writer_close(&w);
	segment_read(&w, 1, &whole);
	assert_int_equal(buf_append_str(&whole, "one\ntwo\nthree\n"), 0);
	wal_fixture_write(w.f, 1, whole.data, whole.len);
	writer_open(&w);
	writer_close(&w);
	segment_read(&w, 1, &after);
	assert_int_equal(after.len, whole.len);
	text = wal_fixture_read(w.f, 0);
	assert_non_null(strstr(text, "1 2 3 [unreadable 1 "));
	assert_non_null(strstr(text, "+14 4-6] 7 8 9"));
	free(text);
	buf_deinit(&whole);
	buf_deinit(&after);
	writer_deinit(&w);
}

/* --- a disk that fails ---------------------------------------------------- */

static void test_full_disk_leaves_no_half_line(void **state)
{
	struct writer w;

	writer_init(&w, *state);
	writer_open(&w);
	append(&w, 10);
	writer_sync(&w);
	disk.write_errno = ENOSPC;
	append(&w, 10);
	assert_int_equal(wal_write_now(w.wal), -ENOSPC);
	writer_wait_for_problem(&w, 1);
	assert_non_null(strstr(wal_problem(w.wal), "No space left on device"));
	append(&w, 10);
	expect_read(&w, "1 2 3");
	assert_int_equal(wal_synced_seq(w.wal), 3);
	disk.write_errno = 0;
	writer_sync(&w);
	writer_wait_for_problem(&w, 2);
	assert_null(wal_problem(w.wal));
	expect_read(&w, "1 2 3 4 5");
	assert_int_equal(count_segments(&w), 1);
	writer_deinit(&w);
}

static void test_full_disk_at_a_rotation(void **state)
{
	struct writer w;

	writer_init(&w, *state);
	w.config.segment_bytes = 1000;
	writer_open(&w);
	append(&w, 1000);
	writer_sync(&w);
	disk.write_errno = ENOSPC;
	append(&w, 10);
	assert_int_equal(wal_write_now(w.wal), -ENOSPC);
	append(&w, 10);
	disk.write_errno = 0;
	writer_sync(&w);
	expect_read(&w, "1 2 3 4 5 6");
	assert_int_equal(count_segments(&w), 2);
	writer_deinit(&w);
}

static void test_half_a_line_that_stays_is_written_again(void **state)
{
	struct writer w;
	char *text;

	writer_init(&w, *state);
	writer_open(&w);
	append(&w, 10);
	writer_sync(&w);
	disk.write_errno = ENOSPC;
	disk.truncate_fails = true;
	append(&w, 10);
	append(&w, 10);
	assert_int_equal(wal_write_now(w.wal), -ENOSPC);
	disk.write_errno = 0;
	writer_sync(&w);
	/* One number is the new segment's own. */
	assert_int_equal(wal_seq(w.wal), 6);
	text = wal_fixture_read(w.f, 0);
	assert_non_null(strstr(text, "1 2 3 [set_aside 1 "));
	assert_non_null(strstr(text, "] 4 5 6"));
	free(text);
	writer_deinit(&w);
}

static void expect_claims(const struct writer *w, int n)
{
	struct wal_reader *reader;
	struct wal_record record;
	struct wal_item item;
	int found = 0;
	int r;

	assert_int_equal(wal_reader_new(&reader, w->f->dir, 0), 0);
	while (!(r = wal_reader_next(reader, &item))) {
		if (item.damage.kind) {
			assert_int_equal(item.damage.kind,
					 WAL_DAMAGE_SET_ASIDE);
			continue;
		}
		assert_int_equal(
			wal_record_decode(item.line, item.len, &record), 0);
		if (record.type == WAL_CLAIMED) {
			char expected[32];

			snprintf(expected, sizeof(expected), "job_%d", found++);
			assert_string_equal(record.job, expected);
		}
		wal_record_deinit(&record);
	}
	assert_int_equal(r, WAL_READ_E_END);
	assert_false(wal_reader_tail(reader, &item.damage));
	wal_reader_free(reader);
	assert_int_equal(found, n);
}

static void append_numbered(struct writer *w, int n)
{
	char job[32];

	snprintf(job, sizeof(job), "job_%d", n);
	assert_true(wal_append(w->wal, WAL_CLAIMED, job, "ex_1", NULL) > 0);
}

/* syncs: how many good ones before the bad one. */
static void fail_a_sync(const struct wal_fixture *f, int records, bool truncate)
{
	struct writer w;
	int n = 0;

	writer_init(&w, f);
	w.config.segment_bytes = 700;
	writer_open(&w);
	for (; n < records; n++) {
		append_numbered(&w, n);
		if (n % 3 == 0)
			writer_sync(&w);
	}
	disk.sync_errno = EIO;
	disk.truncate_fails = !truncate;
	for (; n < records + 4; n++) {
		append_numbered(&w, n);
		assert_int_equal(wal_write_now(w.wal), 0);
	}
	assert_int_equal(wal_sync(w.wal, on_sync, &w), 0);
	w.synced = 0;
	writer_wait_for_problem(&w, 1);
	assert_non_null(strstr(wal_problem(w.wal), "cannot sync the log"));
	assert_int_equal(w.synced, 0);
	append_numbered(&w, n++);
	disk.sync_errno = 0;
	writer_sync(&w);
	writer_wait_for_problem(&w, 2);
	assert_int_equal(w.synced, 2);
	append_numbered(&w, n++);
	writer_sync(&w);
	expect_claims(&w, n);
	disk.truncate_fails = false;
	writer_close(&w);
	writer_open(&w);
	writer_close(&w);
	expect_claims(&w, n);
	writer_deinit(&w);
}

static void test_failed_sync_is_not_believed(void **state)
{
	fail_a_sync(*state, 1, true);
}

static void test_failed_sync_whose_pages_stay(void **state)
{
	fail_a_sync(*state, 1, false);
}

/* The segment has just been begun, or is about to be. */
static void test_failed_sync_at_a_rotation(void **state)
{
	for (int records = 2; records < 14; records++) {
		void *fixture;

		assert_int_equal(wal_fixture_set_up(&fixture), 0);
		fail_a_sync(fixture, records, records % 2);
		assert_int_equal(wal_fixture_tear_down(&fixture), 0);
	}
}

static void test_backlog_has_a_limit(void **state)
{
	_cleanup_json_ json_t *data = NULL;
	static char text[60001];
	struct writer w;
	int64_t r = 0;

	memset(text, 'x', sizeof(text) - 1);
	data = json_pack("{s:s}", "text", text);
	writer_init(&w, *state);
	writer_open(&w);
	disk.write_errno = ENOSPC;
	for (int i = 0; i < 100 && r >= 0; i++)
		r = wal_append(w.wal, WAL_OUTPUT, NULL, "ex_1", data);
	assert_int_equal(r, -ENOBUFS);
	writer_wait_for_problem(&w, 1);
	disk.write_errno = 0;
	writer_sync(&w);
	writer_wait_for_problem(&w, 2);
	append(&w, 10);
	writer_sync(&w);
	writer_deinit(&w);
}

/* --- a process that is killed --------------------------------------------- */

struct shared {
	atomic_llong synced; /* records of the child that are on disk */
};

struct burst {
	struct writer *w;
	struct shared *shared;
	long long appended, begun;
};

static void burst_append(struct burst *b);

static void on_burst_synced(int r, void *ctx)
{
	struct burst *b = ctx;

	b->shared->synced = b->begun;
	b->begun = b->appended;
	burst_append(b);
}

static void burst_append(struct burst *b)
{
	for (int i = 0; i < 20; i++) {
		char job[32];

		snprintf(job, sizeof(job), "job_%lld", b->appended++);
		if (wal_append(b->w->wal, WAL_CLAIMED, job, "ex_1", NULL) < 0)
			_exit(3);
		wal_needed(b->w->wal, wal_seq(b->w->wal));
	}
	b->begun = b->appended;
	if (wal_sync(b->w->wal, on_burst_synced, b) < 0)
		_exit(4);
}

static void child_main(const struct wal_fixture *f, struct shared *shared,
		       long long from)
{
	struct burst b = { .shared = shared, .appended = from, .begun = from };
	struct writer w;

	writer_init(&w, f);
	w.config.segment_bytes = 20000;
	w.config.keep_bytes = 1ULL << 40;
	if (wal_open(&w.wal, &w.config, (char[512]){ 0 }, 512) < 0)
		_exit(2);
	b.w = &w;
	burst_append(&b);
	event_base_dispatch(w.base);
	_exit(5);
}

/* How many claims there are; they are numbered without a gap. */
static long long count_claims(const struct wal_fixture *f)
{
	struct wal_reader *reader;
	struct wal_record record;
	long long found = 0, number;
	struct wal_item item;
	uint64_t last = 0;

	assert_int_equal(wal_reader_new(&reader, f->dir, 0), 0);
	while (!wal_reader_next(reader, &item)) {
		assert_int_equal(item.damage.kind, WAL_DAMAGE_NONE);
		assert_int_equal(item.seq, last + 1);
		last = item.seq;
		assert_int_equal(
			wal_record_decode(item.line, item.len, &record), 0);
		if (record.type == WAL_CLAIMED) {
			assert_int_equal(
				sscanf(record.job, "job_%lld", &number), 1);
			assert_int_equal(number, found);
			found++;
		}
		wal_record_deinit(&record);
	}
	wal_reader_free(reader);
	return found;
}

static void test_killed_writers_lose_nothing(void **state)
{
	struct shared *shared = mmap(NULL, sizeof(*shared),
				     PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct wal_fixture *f = *state;
	long long found = 0;
	unsigned seed = 7;

	assert_ptr_not_equal(shared, MAP_FAILED);
	for (int i = 0; i < 25; i++) {
		long long before = shared->synced, enough;
		int status;
		pid_t pid = fork();

		if (!pid)
			child_main(f, shared, found);
		enough = found + 20 + rand_r(&seed) % 400;
		while (shared->synced < enough) {
			assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
			usleep(200);
		}
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		found = count_claims(f);
		assert_true(shared->synced > before);
		assert_true(found >= shared->synced);
		shared->synced = found;
	}
	munmap(shared, sizeof(*shared));
}

static void test_written_records_outlive_the_process(void **state)
{
	struct wal_fixture *f = *state;
	struct writer w;
	int status;
	pid_t pid = fork();

	if (!pid) {
		writer_init(&w, f);
		if (wal_open(&w.wal, &w.config, (char[512]){ 0 }, 512) < 0 ||
		    wal_append(w.wal, WAL_CLAIMED, "job_1", "ex_1", NULL) < 0 ||
		    wal_write_now(w.wal) < 0)
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	writer_init(&w, f);
	expect_read(&w, "1 2 3");
	writer_deinit(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_DIR(test_records_are_there_afterwards),
		TEST_IN_DIR(test_many_records_are_synced_together),
		TEST_IN_DIR(test_too_large_a_record_is_refused),
		TEST_IN_DIR(test_callbacks_that_wait_at_the_end),
		TEST_IN_DIR(test_second_writer_is_refused),
		TEST_IN_DIR(test_a_directory_that_cannot_be_used_is_said),
		TEST_IN_DIR(test_segments_follow_each_other),
		TEST_IN_DIR(test_old_segments_go_when_nobody_needs_them),
		TEST_IN_DIR(test_old_segments_go_when_they_are_old),
		TEST_IN_DIR(test_torn_tail_is_cut_at_every_byte),
		TEST_IN_DIR(test_segment_without_its_first_record_begins_again),
		TEST_IN_DIR(test_zeros_at_the_end_are_cut),
		TEST_IN_DIR(test_unreadable_middle_stays_as_it_is),
		TEST_IN_DIR(test_a_long_unreadable_end_is_kept),
		TEST_IN_DIR(test_full_disk_leaves_no_half_line),
		TEST_IN_DIR(test_full_disk_at_a_rotation),
		TEST_IN_DIR(test_half_a_line_that_stays_is_written_again),
		TEST_IN_DIR(test_failed_sync_is_not_believed),
		TEST_IN_DIR(test_failed_sync_whose_pages_stay),
		cmocka_unit_test(test_failed_sync_at_a_rotation),
		TEST_IN_DIR(test_backlog_has_a_limit),
		TEST_IN_DIR(test_killed_writers_lose_nothing),
		TEST_IN_DIR(test_written_records_outlive_the_process),
	};

	log_init("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
