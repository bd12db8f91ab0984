#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/log.h"
#include "wal_writer_fixture.h"

/* --- a disk that fails ---------------------------------------------------- */

static void test_full_disk_leaves_no_half_line(void **state)
{
	struct writer w;

	writer_init(&w, *state);
	writer_open(&w);
	writer_append(&w, 10);
	writer_sync(&w);
	writer_disk.write_errno = ENOSPC;
	writer_append(&w, 10);
	assert_int_equal(wal_write_now(w.wal), -ENOSPC);
	writer_wait_for_problem(&w, 1);
	assert_non_null(strstr(wal_problem(w.wal), "No space left on device"));
	writer_append(&w, 10);
	wal_fixture_expect(w.f, "1 2 3");
	assert_int_equal(wal_synced_seq(w.wal), 3);
	writer_disk.write_errno = 0;
	writer_sync(&w);
	writer_wait_for_problem(&w, 2);
	assert_null(wal_problem(w.wal));
	wal_fixture_expect(w.f, "1 2 3 4 5");
	assert_int_equal(writer_count_segments(&w), 1);
	writer_deinit(&w);
}

static void test_full_disk_at_a_rotation(void **state)
{
	struct writer w;

	writer_init(&w, *state);
	w.config.segment_bytes = 1000;
	writer_open(&w);
	writer_append(&w, 1000);
	writer_sync(&w);
	writer_disk.write_errno = ENOSPC;
	writer_append(&w, 10);
	assert_int_equal(wal_write_now(w.wal), -ENOSPC);
	writer_append(&w, 10);
	writer_disk.write_errno = 0;
	writer_sync(&w);
	wal_fixture_expect(w.f, "1 2 3 4 5 6");
	assert_int_equal(writer_count_segments(&w), 2);
	writer_deinit(&w);
}

static void test_half_a_line_that_stays_is_written_again(void **state)
{
	struct writer w;
	char *text;

	writer_init(&w, *state);
	writer_open(&w);
	writer_append(&w, 10);
	writer_sync(&w);
	writer_disk.write_errno = ENOSPC;
	writer_disk.truncate_fails = true;
	writer_append(&w, 10);
	writer_append(&w, 10);
	assert_int_equal(wal_write_now(w.wal), -ENOSPC);
	writer_disk.write_errno = 0;
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
	writer_disk.sync_errno = EIO;
	writer_disk.truncate_fails = !truncate;
	for (; n < records + 4; n++) {
		append_numbered(&w, n);
		assert_int_equal(wal_write_now(w.wal), 0);
	}
	assert_int_equal(wal_sync(w.wal, writer_on_sync, &w), 0);
	w.synced = 0;
	writer_wait_for_problem(&w, 1);
	assert_non_null(strstr(wal_problem(w.wal), "cannot sync the log"));
	assert_int_equal(w.synced, 0);
	append_numbered(&w, n++);
	writer_disk.sync_errno = 0;
	writer_sync(&w);
	writer_wait_for_problem(&w, 2);
	assert_int_equal(w.synced, 2);
	append_numbered(&w, n++);
	writer_sync(&w);
	expect_claims(&w, n);
	writer_disk.truncate_fails = false;
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
	writer_disk.write_errno = ENOSPC;
	for (int i = 0; i < 100 && r >= 0; i++)
		r = wal_append(w.wal, WAL_OUTPUT, NULL, "ex_1", data);
	assert_int_equal(r, -ENOBUFS);
	writer_wait_for_problem(&w, 1);
	writer_disk.write_errno = 0;
	writer_sync(&w);
	writer_wait_for_problem(&w, 2);
	writer_append(&w, 10);
	writer_sync(&w);
	writer_deinit(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_DIR(test_full_disk_leaves_no_half_line),
		TEST_IN_DIR(test_full_disk_at_a_rotation),
		TEST_IN_DIR(test_half_a_line_that_stays_is_written_again),
		TEST_IN_DIR(test_failed_sync_is_not_believed),
		TEST_IN_DIR(test_failed_sync_whose_pages_stay),
		cmocka_unit_test(test_failed_sync_at_a_rotation),
		TEST_IN_DIR(test_backlog_has_a_limit),
	};

	log_init("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
