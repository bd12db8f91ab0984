#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/json.h"
#include "common/wal/dir.h"
#include "common/wal/read.h"
#include "common/wal/record.h"
#include "common/wal/replay.h"
#include "wal_fixture.h"

#define TEST_IN_DIR(fn)                                         \
	cmocka_unit_test_setup_teardown(fn, wal_fixture_set_up, \
					wal_fixture_tear_down)

static void expect_read(const struct wal_fixture *f, const char *expected)
{
	char *text = wal_fixture_read(f, 0);

	assert_string_equal(text, expected);
	free(text);
}

#define expect_read_f(f, ...)                                  \
	do {                                                   \
		char wanted[512];                              \
                                                               \
		snprintf(wanted, sizeof(wanted), __VA_ARGS__); \
		expect_read(f, wanted);                        \
	} while (0)

/* --- records -------------------------------------------------------------- */

/* Bit by bit, as the polynomial 0x1edc6f41 has it. */
static uint32_t slow_crc32c(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t crc = ~0U;

	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static void test_record_is_written_like_this(void **state)
{
	static const char text[] = "{\"seq\":7,\"time_ms\":1700000000000,"
				   "\"type\":\"claimed\",\"job\":\"job_1\","
				   "\"execution\":\"ex_1\","
				   "\"data\":{\"epoch\":3}";
	json_t *data = json_pack("{s:i}", "epoch", 3);
	const struct wal_record record = { .seq = 7,
					   .time_ms = 1700000000000,
					   .type = WAL_CLAIMED,
					   .job = "job_1",
					   .execution = "ex_1",
					   .data = data };
	struct buf b = { 0 };
	char expected[256];

	/* The value that every description of CRC-32C has. */
	assert_int_equal(slow_crc32c("123456789", 9), 0xe3069283);
	snprintf(expected, sizeof(expected), "%s,\"crc32c\":\"%08x\"}\n", text,
		 slow_crc32c(text, strlen(text)));
	assert_int_equal(wal_record_encode(&b, &record, NULL), 0);
	assert_non_null(buf_cstr(&b));
	assert_string_equal((char *)b.data, expected);
	buf_deinit(&b);
	json_decref(data);
}

static void test_record_comes_back(void **state)
{
	json_t *data = json_pack("{s:s, s:{s:i}}", "text",
				 "a\nb\tc\"\x7f\xc3\xa4", "nested", "seq", 1);
	const struct wal_record in = { .seq = INT64_MAX,
				       .time_ms = -1,
				       .type = WAL_GUARD_CLOSED,
				       .data = data };
	struct wal_record out;
	struct buf b = { 0 };
	uint32_t crc, again;
	uint64_t seq;

	assert_int_equal(wal_record_encode(&b, &in, &crc), 0);
	assert_ptr_equal(memchr(b.data, '\n', b.len), b.data + b.len - 1);
	assert_true(wal_record_check((char *)b.data, b.len - 1, &seq, &again));
	assert_int_equal(seq, INT64_MAX);
	assert_int_equal(crc, again);
	assert_int_equal(wal_record_decode((char *)b.data, b.len - 1, &out), 0);
	assert_int_equal(out.time_ms, -1);
	assert_int_equal(out.type, WAL_GUARD_CLOSED);
	assert_string_equal(out.type_name, "guard_closed");
	assert_string_equal(out.job, "");
	assert_string_equal(out.execution, "");
	assert_true(json_equal(out.data, data));
	wal_record_deinit(&out);
	json_decref(data);
	buf_deinit(&b);
}

static void test_every_type_has_its_name(void **state)
{
	for (int i = 0; i < WAL_UNKNOWN; i++)
		assert_int_equal(wal_type_parse(wal_type_name(i)), i);
	assert_int_equal(wal_type_parse("of_a_newer_version"), WAL_UNKNOWN);
	assert_int_equal(wal_type_parse("unknown"), WAL_UNKNOWN);
}

static void test_record_has_a_limit(void **state)
{
	struct wal_record record = { .seq = 1, .type = WAL_OUTPUT };
	struct buf b = { 0 };
	size_t overhead;
	uint32_t crc;

	wal_fixture_add(&b, 1, WAL_OUTPUT, "ex_1", 0, &crc);
	overhead = b.len;
	buf_clear(&b);
	wal_fixture_add(&b, 1, WAL_OUTPUT, "ex_1",
			WAL_RECORD_MAX_BYTES - 19 - overhead, &crc);
	assert_int_equal(b.len, WAL_RECORD_MAX_BYTES - 19);
	record.data = json_pack("{s:s%}", "text", b.data, b.len);
	assert_int_equal(wal_record_encode(&b, &record, NULL), -EMSGSIZE);
	assert_int_equal(b.len, WAL_RECORD_MAX_BYTES - 19);
	json_decref((json_t *)record.data);
	buf_deinit(&b);
}

static void test_record_gets_another_number(void **state)
{
	struct buf b = { 0 }, wanted = { 0 };
	uint32_t crc, other;

	wal_fixture_add(&b, 9, WAL_STARTED, "ex_1", 10, &crc);
	assert_int_equal(wal_record_renumber(&wanted, (char *)b.data, b.len,
					     100, &other),
			 0);
	assert_int_not_equal(crc, other);
	buf_clear(&b);
	assert_int_equal(wal_record_renumber(&b, (char *)wanted.data,
					     wanted.len, 9, &other),
			 0);
	assert_int_equal(crc, other);
	buf_deinit(&b);
	buf_deinit(&wanted);
}

static void test_no_byte_of_a_record_may_change(void **state)
{
	struct buf b = { 0 };
	uint32_t crc;
	uint64_t seq;

	wal_fixture_add(&b, 3, WAL_CLAIMED, "ex_1", 20, &crc);
	for (size_t i = 0; i < b.len - 1; i++)
		for (int bit = 0; bit < 8; bit++) {
			b.data[i] ^= (uint8_t)(1 << bit);
			assert_false(wal_record_check((char *)b.data, b.len - 1,
						      &seq, &crc));
			b.data[i] ^= (uint8_t)(1 << bit);
		}
	for (size_t len = 0; len < b.len - 1; len++)
		assert_false(wal_record_check((char *)b.data, len, &seq, &crc));
	buf_deinit(&b);
}

/* --- reading -------------------------------------------------------------- */

/* Records 1 to 4 in one segment; at[i]: where record i + 1 begins. */
static void make_four(struct buf *b, size_t at[5])
{
	uint32_t crc = 0;

	at[0] = 0;
	wal_fixture_begin(b, 1, 0, &crc);
	for (uint64_t i = 1; i < 4; i++) {
		at[i] = b->len;
		wal_fixture_add(b, i + 1, WAL_CLAIMED, "ex_1", 30, &crc);
	}
	at[4] = b->len;
}

static void test_empty_directory_is_whole(void **state)
{
	expect_read(*state, "");
}

static void test_segments_are_one_log(void **state)
{
	struct buf b = { 0 };
	uint32_t crc = 0;
	char *text;

	wal_fixture_begin(&b, 1, 0, &crc);
	wal_fixture_add(&b, 2, WAL_CLAIMED, "ex_1", 5, &crc);
	wal_fixture_write(*state, 1, b.data, b.len);
	buf_clear(&b);
	wal_fixture_begin(&b, 3, 2, &crc);
	wal_fixture_add(&b, 4, WAL_CLAIMED, "ex_1", 65000, &crc);
	wal_fixture_add(&b, 5, WAL_CLAIMED, "ex_1", 65000, &crc);
	wal_fixture_add(&b, 6, WAL_CLAIMED, "ex_1", 5, &crc);
	wal_fixture_write(*state, 3, b.data, b.len);
	expect_read(*state, "1 2 3 4 5 6");
	text = wal_fixture_read(*state, 4);
	assert_string_equal(text, "4 5 6");
	free(text);
	buf_deinit(&b);
}

static void test_torn_tail_at_every_byte(void **state)
{
	struct buf b = { 0 };
	size_t at[5];

	make_four(&b, at);
	for (size_t len = at[3]; len < at[4]; len++) {
		wal_fixture_write(*state, 1, b.data, len);
		if (len == at[3])
			expect_read(*state, "1 2 3");
		else
			expect_read_f(*state, "1 2 3 [torn 1 %zu+%zu 0-0]",
				      at[3], len - at[3]);
	}
	wal_fixture_write(*state, 1, b.data, b.len);
	expect_read(*state, "1 2 3 4");
	buf_deinit(&b);
}

static void test_flipped_bit_at_every_byte_is_reported(void **state)
{
	struct buf b = { 0 };
	size_t at[5];

	make_four(&b, at);
	/* The line feed too: it glues the record to the next one, which is
	 * found all the same. */
	for (size_t i = at[2]; i < at[3]; i++) {
		b.data[i] ^= 1;
		wal_fixture_write(*state, 1, b.data, b.len);
		expect_read_f(*state, "1 2 [unreadable 1 %zu+%zu 3-3] 4", at[2],
			      at[3] - at[2]);
		b.data[i] ^= 1;
	}
	buf_deinit(&b);
}

static void test_flipped_bit_in_the_first_record(void **state)
{
	struct buf b = { 0 };
	size_t at[5];

	make_four(&b, at);
	b.data[10] ^= 4;
	wal_fixture_write(*state, 1, b.data, b.len);
	expect_read_f(*state, "[unreadable 1 0+%zu 1-1] 2 3 4", at[1]);
	buf_deinit(&b);
}

static void test_pages_of_zeros_are_reported(void **state)
{
	struct buf b = { 0 };
	uint32_t crc = 0;
	size_t from, to;

	wal_fixture_begin(&b, 1, 0, &crc);
	from = b.len;
	for (uint64_t i = 2; i < 6; i++)
		wal_fixture_add(&b, i, WAL_CLAIMED, "ex_1", 60000, &crc);
	to = b.len;
	wal_fixture_add(&b, 6, WAL_CLAIMED, "ex_1", 5, &crc);
	memset(b.data + from, 0, to - from);
	wal_fixture_write(*state, 1, b.data, b.len);
	expect_read_f(*state, "1 [unreadable 1 %zu+%zu 2-5] 6", from,
		      to - from);
	wal_fixture_write(*state, 1, b.data, to);
	expect_read_f(*state, "1 [torn 1 %zu+%zu 0-0]", from, to - from);
	buf_deinit(&b);
}

static void test_missing_records_are_reported(void **state)
{
	struct buf b = { 0 };
	uint32_t crc = 0;
	size_t at;

	wal_fixture_begin(&b, 5, 0, &crc);
	wal_fixture_add(&b, 6, WAL_CLAIMED, "ex_1", 5, &crc);
	at = b.len;
	wal_fixture_add(&b, 9, WAL_CLAIMED, "ex_1", 5, &crc);
	wal_fixture_write(*state, 5, b.data, b.len);
	expect_read_f(*state, "5 6 [gap 5 %zu+0 7-8] 9", at);
	buf_deinit(&b);
}

static void test_missing_segment_is_reported(void **state)
{
	struct buf b = { 0 };
	uint32_t crc = 0;

	for (uint64_t first = 1; first < 10; first += 2) {
		buf_clear(&b);
		wal_fixture_begin(&b, first, 0, &crc);
		wal_fixture_add(&b, first + 1, WAL_CLAIMED, "ex_1", 5, &crc);
		if (first != 5)
			wal_fixture_write(*state, first, b.data, b.len);
	}
	expect_read(*state, "1 2 3 4 [gap 7 0+0 5-6] 7 8 9 10");
	buf_deinit(&b);
}

static void test_strange_segment_is_reported(void **state)
{
	struct buf b = { 0 };
	uint32_t crc = 0;

	wal_fixture_begin(&b, 1, 0, &crc);
	wal_fixture_write(*state, 1, b.data, b.len);
	buf_clear(&b);
	crc++; /* it follows another one */
	wal_fixture_begin(&b, 2, 0, &crc);
	wal_fixture_write(*state, 2, b.data, b.len);
	buf_clear(&b);
	wal_fixture_add(&b, 3, WAL_CLAIMED, "ex_1", 5, &crc);
	wal_fixture_write(*state, 3, b.data, b.len);
	expect_read(*state, "1 [first 2 0+0 0-0] 2 [first 3 0+0 0-0] 3");
	buf_deinit(&b);
}

static void test_end_of_an_older_segment_is_reported(void **state)
{
	struct buf b = { 0 }, next = { 0 };
	uint32_t crc = 0;
	size_t at[5];

	make_four(&b, at);
	wal_fixture_begin(&next, 5, 0, &crc);
	wal_fixture_write(*state, 1, b.data, b.len - 3);
	wal_fixture_write(*state, 5, next.data, next.len);
	expect_read_f(*state, "1 2 3 [unreadable 1 %zu+%zu 4-4] 5", at[3],
		      b.len - 3 - at[3]);
	buf_deinit(&b);
	buf_deinit(&next);
}

static void test_rewritten_records_count_once(void **state)
{
	struct buf b = { 0 }, next = { 0 };
	uint32_t crc = 0;
	uint64_t seq;
	size_t at[5];

	make_four(&b, at);
	assert_int_equal(buf_append_str(&b, "half a rec"), 0);
	wal_fixture_write(*state, 1, b.data, b.len);
	assert_true(wal_record_check((char *)b.data + at[1], at[2] - at[1] - 1,
				     &seq, &crc));
	wal_fixture_begin(&next, 3, 0, &crc);
	wal_fixture_add(&next, 4, WAL_CLAIMED, "ex_1", 30, &crc);
	wal_fixture_write(*state, 3, next.data, next.len);
	expect_read_f(*state, "1 2 [set_aside 1 %zu+%zu 3-4] 3 4", at[2],
		      b.len - at[2]);
	buf_deinit(&b);
	buf_deinit(&next);
}

/* --- reading what grows --------------------------------------------------- */

static void expect_next(struct wal_reader *r, uint64_t seq)
{
	struct wal_item item;

	assert_int_equal(wal_reader_next(r, &item), seq ? 0 : WAL_READ_E_END);
	if (!seq)
		return;
	assert_int_equal(item.damage.kind, WAL_DAMAGE_NONE);
	assert_int_equal(item.seq, seq);
}

/* The segment 1 grows, as it does under a writer. */
static void write_in_place(const struct wal_fixture *f, const void *data,
			   size_t len)
{
	char name[WAL_SEGMENT_NAME_BYTES], path[160];
	FILE *file;

	wal_segment_name(1, name);
	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	file = fopen(path, "r+");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static void test_reader_follows(void **state)
{
	struct wal_fixture *f = *state;
	struct buf b = { 0 }, next = { 0 };
	struct wal_damage d;
	struct wal_reader *r;
	size_t at[5];
	uint32_t crc;

	assert_int_equal(wal_reader_new(&r, f->dir, 0), 0);
	expect_next(r, 0);
	make_four(&b, at);
	wal_fixture_write(f, 1, b.data, at[2] + 7);
	expect_next(r, 1);
	expect_next(r, 2);
	expect_next(r, 0);
	assert_true(wal_reader_tail(r, &d));
	assert_int_equal(d.len, 7);
	write_in_place(f, b.data, b.len);
	expect_next(r, 3);
	assert_int_equal(wal_reader_last(r, &crc), 3);
	expect_next(r, 4);
	expect_next(r, 0);
	assert_false(wal_reader_tail(r, &d));
	assert_int_equal(wal_reader_last(r, &crc), 4);
	wal_fixture_begin(&next, 5, 0, &crc);
	wal_fixture_write(f, 5, next.data, next.len);
	expect_next(r, 5);
	expect_next(r, 0);
	wal_reader_free(r);
	buf_deinit(&b);
	buf_deinit(&next);
}

/* --- replay --------------------------------------------------------------- */

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
		cmocka_unit_test(test_record_is_written_like_this),
		cmocka_unit_test(test_record_comes_back),
		cmocka_unit_test(test_every_type_has_its_name),
		cmocka_unit_test(test_record_has_a_limit),
		cmocka_unit_test(test_record_gets_another_number),
		cmocka_unit_test(test_no_byte_of_a_record_may_change),
		TEST_IN_DIR(test_empty_directory_is_whole),
		TEST_IN_DIR(test_segments_are_one_log),
		TEST_IN_DIR(test_torn_tail_at_every_byte),
		TEST_IN_DIR(test_flipped_bit_at_every_byte_is_reported),
		TEST_IN_DIR(test_flipped_bit_in_the_first_record),
		TEST_IN_DIR(test_pages_of_zeros_are_reported),
		TEST_IN_DIR(test_missing_records_are_reported),
		TEST_IN_DIR(test_missing_segment_is_reported),
		TEST_IN_DIR(test_strange_segment_is_reported),
		TEST_IN_DIR(test_end_of_an_older_segment_is_reported),
		TEST_IN_DIR(test_rewritten_records_count_once),
		TEST_IN_DIR(test_reader_follows),
		TEST_IN_DIR(test_replay_finds_what_is_open),
		TEST_IN_DIR(test_replay_begins_where_it_is_needed),
		TEST_IN_DIR(test_replay_goes_on_behind_damage),
		cmocka_unit_test(test_no_log_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
