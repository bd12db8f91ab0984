#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/json.h"
#include "common/log.h"
#include "common/wal/dir.h"
#include "wal_writer_fixture.h"

/* --- the usual life ------------------------------------------------------- */

static void test_records_are_there_afterwards(void **state)
{
	struct writer w;
	struct stat st;
	char path[160];

	writer_init(&w, *state);
	writer_open(&w);
	assert_int_equal(wal_seq(w.wal), 2);
	assert_int_equal(writer_append(&w, 10), 3);
	assert_int_equal(writer_append(&w, 60000), 4);
	writer_sync(&w);
	assert_int_equal(wal_synced_seq(w.wal), 4);
	assert_null(wal_problem(w.wal));
	wal_fixture_expect(w.f, "1 2 3 4");
	writer_close(&w);
	wal_fixture_expect(w.f, "1 2 3 4 5");
	writer_open(&w);
	assert_int_equal(writer_append(&w, 10), 7);
	writer_close(&w);
	wal_fixture_expect(w.f, "1 2 3 4 5 6 7 8");
	assert_int_equal(w.damage.len, 0);
	assert_int_equal(writer_count_segments(&w), 1);
	assert_int_equal(stat(w.f->dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	writer_segment_path(&w, 1, path, sizeof(path));
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
	writer_disk.syncs = 0;
	for (int i = 0; i < 1000; i++) {
		writer_append(&w, 10);
		assert_int_equal(wal_sync(w.wal, writer_on_sync, &w), 0);
	}
	writer_sync(&w);
	assert_int_equal(w.synced, 1002);
	assert_true(writer_disk.syncs <= 2);
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
	assert_int_equal(writer_append(&w, 10), 3);
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
	writer_append(&w, 10);
	assert_int_equal(wal_sync(w.wal, on_cancelled, &synced), 0);
	assert_int_equal(wal_sync(w.wal, on_cancelled, &forgotten), 0);
	wal_sync_forget(w.wal, &forgotten);
	writer_close(&w);
	assert_int_equal(synced, 0);
	assert_int_equal(forgotten, 1);
	writer_open(&w);
	assert_int_equal(wal_sync(w.wal, on_cancelled, &synced), 0);
	writer_disk.sync_errno = EIO;
	writer_close(&w);
	assert_int_equal(synced, -ECANCELED);
	writer_disk.sync_errno = 0;
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
	writer_disk.write_errno = ENOSPC;
	assert_int_equal(wal_open(&other, &w.config, err, sizeof(err)),
			 -ENOSPC);
	assert_non_null(strstr(err, "No space left on device"));
	writer_disk.write_errno = 0;
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
		writer_append(&w, 300);
		if (i % 3 == 0)
			assert_int_equal(wal_write_now(w.wal), 0);
		if (i % 10 == 0)
			writer_sync(&w);
	}
	writer_sync(&w);
	assert_true(writer_count_segments(&w) > 5);
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
		writer_append(w, 700);
		writer_sync(w);
	}
}

/* Waits until what was due is done: the next sync comes behind it. */
static void settle(struct writer *w)
{
	for (int i = 0; i < 3; i++) {
		writer_append(w, 10);
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
	assert_int_equal(writer_count_segments(&w), 11);
	needed = writer_append(&w, 10);
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
	assert_true(writer_count_segments(&w) <= 6);
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
	before = writer_count_segments(&w);
	writer_segment_path(&w, 1, path, sizeof(path));
	assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
	fill_segments(&w, 4);
	settle(&w);
	assert_int_equal(access(path, F_OK), -1);
	assert_true(writer_count_segments(&w) >= before);
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
	};

	log_init("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
