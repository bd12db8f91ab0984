#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/wal/dir.h"
#include "common/wal/read.h"
#include "common/wal/record.h"
#include "wal_fixture.h"

#define expect_read_f(f, ...)                                  \
	do {                                                   \
		char wanted[512];                              \
                                                               \
		snprintf(wanted, sizeof(wanted), __VA_ARGS__); \
		wal_fixture_expect(f, wanted);                 \
	} while (0)

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
	wal_fixture_expect(*state, "");
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
	wal_fixture_expect(*state, "1 2 3 4 5 6");
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
			wal_fixture_expect(*state, "1 2 3");
		else
			expect_read_f(*state, "1 2 3 [torn 1 %zu+%zu 0-0]",
				      at[3], len - at[3]);
	}
	wal_fixture_write(*state, 1, b.data, b.len);
	wal_fixture_expect(*state, "1 2 3 4");
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
	wal_fixture_expect(*state, "1 2 3 4 [gap 7 0+0 5-6] 7 8 9 10");
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
	wal_fixture_expect(*state, "1 [first 2 0+0 0-0] 2 [first 3 0+0 0-0] 3");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
