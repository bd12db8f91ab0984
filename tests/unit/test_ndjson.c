/* How NDJSON is split, whatever pieces it comes in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/ndjson.h"

#define MAX_BYTES 8

/* "NUMBER@OFFSET:TEXT;" for each record, then how it ended. */
static void drain(struct ndjson *n, bool finish, struct buf *out)
{
	struct ndjson_record r;
	int e;

	while (!(e = finish ? ndjson_finish(n, &r) : ndjson_next(n, &r)))
		assert_int_equal(buf_printf(out, "%d@%d:%.*s;", (int)r.number,
					    (int)r.offset, (int)r.len,
					    (const char *)r.data),
				 0);
	if (e == NDJSON_E_TOO_LARGE && finish)
		assert_int_equal(buf_printf(out, "%d too large", (int)n->next),
				 0);
	else if (e == NDJSON_E_TOO_LARGE)
		return;
	else
		assert_int_equal(e, NDJSON_E_MORE);
}

static void split(const char *text, size_t len, size_t piece, struct buf *out)
{
	struct ndjson n;

	ndjson_init(&n, MAX_BYTES, 0);
	for (size_t at = 0; at < len; at += piece) {
		/* Of its own, so that a sanitizer sees what is read late. */
		size_t bytes = MIN(piece, len - at);
		char *copy = malloc(bytes);

		memcpy(copy, text + at, bytes);
		ndjson_feed(&n, copy, bytes);
		drain(&n, false, out);
		free(copy);
	}
	drain(&n, true, out);
	ndjson_deinit(&n);
}

static void check(const char *text, size_t len, const char *expected)
{
	for (size_t piece = 1; piece <= len + 1; piece++) {
		_cleanup_(buf_deinit) struct buf out = { 0 };

		split(text, len, piece, &out);
		assert_string_equal(buf_cstr(&out), expected);
	}
}

#define CHECK(text, expected) check(text, sizeof(text) - 1, expected)

static void test_records(void **state)
{
	CHECK("1\n[2]\n\"x\"\n", "0@0:1;1@0:[2];2@0:\"x\";");
	CHECK("", "");
	CHECK("12345678\n", "0@0:12345678;");
	CHECK("1\0002\n3\n", "0@0:1;1@0:3;"); /* %.*s ends at the NUL */
}

static void test_last_line_needs_no_line_feed(void **state)
{
	CHECK("1\n2", "0@0:1;1@0:2;");
	CHECK("12345678", "0@0:12345678;");
	CHECK("1\n  ", "0@0:1;");
}

static void test_empty_lines_count_for_nothing(void **state)
{
	CHECK("\n\n1\n\r\n \t \n2\n\n", "0@0:1;1@0:2;");
	CHECK("\n", "");
	CHECK("                                        \n1\n", "0@0:1;");
}

static void test_white_space_around(void **state)
{
	CHECK("1\r\n2\r\n", "0@0:1;1@0:2;");
	CHECK("  \t1 \n\r 2 3 \t\r\n", "0@3:1;1@2:2 3;");
	CHECK("12345678\r\n", "0@0:12345678;");
	CHECK("            12345678\r\n", "0@12:12345678;");
	CHECK("1      \n", "0@0:1;");
}

static void test_too_large(void **state)
{
	CHECK("1\n123456789\n2\n", "0@0:1;1 too large");
	CHECK("123456789", "0 too large");
	CHECK("12345678\r\r\n", "0 too large");
	CHECK("1\n2\n1234567890123456789012345678901234567890", "0@0:1;1@0:2;"
								"2 too large");
	CHECK("1         \n", "0 too large");
}

static void test_numbers_go_on(void **state)
{
	struct ndjson_record r;
	struct ndjson n;

	ndjson_init(&n, MAX_BYTES, UINT64_C(1) << 40);
	ndjson_feed(&n, "a\nb\n", 4);
	assert_int_equal(ndjson_next(&n, &r), 0);
	assert_int_equal(r.number, UINT64_C(1) << 40);
	assert_int_equal(ndjson_next(&n, &r), 0);
	assert_int_equal(r.number, (UINT64_C(1) << 40) + 1);
	assert_int_equal(n.next, (UINT64_C(1) << 40) + 2);
	ndjson_deinit(&n);
}

static void test_whole_lines_are_not_copied(void **state)
{
	static const char text[] = "one\ntwo\n";
	struct ndjson_record r;
	struct ndjson n;

	ndjson_init(&n, MAX_BYTES, 0);
	ndjson_feed(&n, text, 8);
	assert_int_equal(ndjson_next(&n, &r), 0);
	assert_ptr_equal(r.data, text);
	assert_int_equal(ndjson_next(&n, &r), 0);
	assert_ptr_equal(r.data, text + 4);
	assert_int_equal(ndjson_next(&n, &r), NDJSON_E_MORE);
	assert_null(n.half.data);
	ndjson_deinit(&n);
}

/* Stops at each record of a text in turn, and lets go of the piece there. */
static void test_keep(void **state)
{
	static const char text[] = "one\n two\nthree\nfour\nfi";

	for (int stop = 0; stop < 4; stop++) {
		_cleanup_(buf_deinit) struct buf out = { 0 };
		struct ndjson_record r;
		struct ndjson n;
		char piece[sizeof(text)];

		memcpy(piece, text, sizeof(text));
		ndjson_init(&n, MAX_BYTES, 0);
		ndjson_feed(&n, piece, 2);
		assert_int_equal(ndjson_next(&n, &r), NDJSON_E_MORE);
		ndjson_feed(&n, piece + 2, sizeof(text) - 3);
		for (int i = 0; i <= stop; i++)
			assert_int_equal(ndjson_next(&n, &r), 0);
		assert_int_equal(ndjson_keep(&n, &r), 0);
		memset(piece, '!', sizeof(piece));
		assert_int_equal(ndjson_keep(&n, &r), 0);
		assert_int_equal(buf_append(&out, r.data, r.len), 0);
		while (!ndjson_next(&n, &r))
			assert_int_equal(buf_append(&out, r.data, r.len), 0);
		ndjson_feed(&n, "ve\n", 3);
		assert_int_equal(ndjson_next(&n, &r), 0);
		assert_int_equal(buf_append(&out, r.data, r.len), 0);
		assert_string_equal(strstr("onetwothreefourfive",
					   buf_cstr(&out)),
				    buf_cstr(&out));
		assert_true(out.len >= 8);
		ndjson_deinit(&n);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_last_line_needs_no_line_feed),
		cmocka_unit_test(test_empty_lines_count_for_nothing),
		cmocka_unit_test(test_white_space_around),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_numbers_go_on),
		cmocka_unit_test(test_whole_lines_are_not_copied),
		cmocka_unit_test(test_keep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
