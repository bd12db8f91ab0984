#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "common/json.h"
#include "common/wal/read.h"
#include "common/wal/replay.h"
#include "wal_fixture.h"

static void on_damage(const struct wal_damage *d, void *ctx)
{
	(*(int *)ctx)++;
}

static void test_replay_finds_what_is_open(void **state)
{
	struct wal_fixture *f = *state;
	const struct wal_execution *e;
	struct wal_replay *replay;
	struct buf b = { 0 };
	uint32_t crc = 0;
	int damages = 0;

	wal_fixture_begin(&b, 1, 0, &crc);
	wal_fixture_add(&b, 2, WAL_OPENED, NULL, 5, &crc);
	wal_fixture_add(&b, 3, WAL_CLAIMED, "ex_1", 5, &crc);
	wal_fixture_add(&b, 4, WAL_CLAIMED, "ex_2", 5, &crc);
	wal_fixture_add(&b, 5, WAL_CLAIMED, "ex_3", 5, &crc);
	wal_fixture_add(&b, 6, WAL_POD_CREATED, "ex_2", 5, &crc);
	wal_fixture_add(&b, 7, WAL_STARTED, "ex_2", 5, &crc);
	wal_fixture_add(&b, 8, WAL_COMPLETED, "ex_1", 5, &crc);
	wal_fixture_add(&b, 9, WAL_OUTPUT, "ex_2", 5, &crc);
	wal_fixture_add(&b, 10, WAL_OUTPUT, "ex_1", 5, &crc);
	wal_fixture_write(f, 1, b.data, b.len);
	assert_int_equal(wal_replay_new(&replay), 0);
	assert_true(wal_replay_orderly(replay));
	assert_int_equal(wal_replay_dir(replay, f->dir, on_damage, &damages),
			 0);
	assert_int_equal(damages, 0);
	assert_false(wal_replay_orderly(replay));
	assert_int_equal(wal_replay_count(replay), 2);
	e = wal_replay_next(replay, NULL);
	assert_string_equal(e->execution, "ex_2");
	assert_string_equal(e->job, "job_1");
	assert_int_equal(e->state, WAL_STARTED);
	assert_int_equal(e->first_seq, 4);
	assert_int_equal(e->claimed_ms, 40);
	assert_int_equal(e->started_ms, 70);
	assert_int_equal(e->last_ms, 90);
	assert_int_equal(json_get_int(e->claimed, "n", 0), 4);
	assert_int_equal(json_get_int(e->pod, "n", 0), 6);
	assert_int_equal(json_get_int(e->output, "n", 0), 9);
	assert_null(e->recovered);
	e = wal_replay_next(replay, e);
	assert_string_equal(e->execution, "ex_3");
	assert_int_equal(e->state, WAL_CLAIMED);
	assert_null(wal_replay_next(replay, e));
	assert_null(wal_replay_find(replay, "ex_1"));
	assert_ptr_equal(wal_replay_find(replay, "ex_3"), e);
	wal_replay_free(replay);
	buf_deinit(&b);
}

static void test_replay_begins_where_it_is_needed(void **state)
{
	struct wal_fixture *f = *state;
	struct wal_replay *replay;
	struct buf b = { 0 };
	uint32_t crc = 0;
	int damages = 0;

	/* The oldest segment is not read: it is no record at all. */
	wal_fixture_write(f, 1, "rubbish\n", 8);
	wal_fixture_begin(&b, 10, 0, &crc);
	wal_fixture_add(&b, 11, WAL_CLAIMED, "ex_0", 5, &crc);
	wal_fixture_add(&b, 12, WAL_CLAIMED, "ex_1", 5, &crc);
	wal_fixture_write(f, 10, b.data, b.len);
	buf_clear(&b);
	wal_fixture_begin(&b, 13, 12, &crc);
	wal_fixture_write(f, 13, b.data, b.len);
	assert_int_equal(wal_replay_new(&replay), 0);
	assert_int_equal(wal_replay_dir(replay, f->dir, on_damage, &damages),
			 0);
	assert_int_equal(damages, 0);
	assert_int_equal(wal_replay_count(replay), 1);
	assert_non_null(wal_replay_find(replay, "ex_1"));
	wal_replay_free(replay);
	buf_deinit(&b);
}

static void test_replay_goes_on_behind_damage(void **state)
{
	struct wal_fixture *f = *state;
	const struct wal_execution *e;
	struct wal_replay *replay;
	struct buf b = { 0 };
	uint32_t crc = 0;
	int damages = 0;
	size_t at;

	wal_fixture_begin(&b, 1, 0, &crc);
	at = b.len;
	wal_fixture_add(&b, 2, WAL_CLAIMED, "ex_1", 5, &crc);
	wal_fixture_add(&b, 3, WAL_POD_CREATED, "ex_1", 5, &crc);
	b.data[at + 30] ^= 1;
	assert_int_equal(buf_append_str(&b, "torn"), 0);
	wal_fixture_write(f, 1, b.data, b.len);
	assert_int_equal(wal_replay_new(&replay), 0);
	assert_int_equal(wal_replay_dir(replay, f->dir, on_damage, &damages),
			 0);
	assert_int_equal(damages, 2);
	e = wal_replay_find(replay, "ex_1");
	assert_non_null(e);
	assert_int_equal(e->state, WAL_POD_CREATED);
	assert_int_equal(e->first_seq, 3);
	wal_replay_free(replay);
	buf_deinit(&b);
}

static void test_no_log_is_said(void **state)
{
	struct wal_replay *replay;
	struct wal_reader *reader;

	assert_int_equal(wal_reader_new(&reader, "/nowhere/wal", 0), -ENOENT);
	assert_int_equal(wal_replay_new(&replay), 0);
	assert_int_equal(wal_replay_dir(replay, "/nowhere/wal", NULL, NULL),
			 -ENOENT);
	wal_replay_free(replay);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_DIR(test_replay_finds_what_is_open),
		TEST_IN_DIR(test_replay_begins_where_it_is_needed),
		TEST_IN_DIR(test_replay_goes_on_behind_damage),
		cmocka_unit_test(test_no_log_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
