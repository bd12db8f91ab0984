#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/stream_lines.h"

static int parse(struct stream_lines *l, const char *body, size_t max,
		 bool check)
{
	*l = (struct stream_lines){ 0 };
	return stream_lines_parse(l, (const uint8_t *)body, strlen(body), max,
				  check);
}

static void test_records(void **state)
{
	static const struct {
		const char *body, *text;
		int64_t n;
	} cases[] = {
		{ "", "", 0 },
		{ "\n\r\n \t\n", "", 0 },
		{ "1\n", "1\n", 1 },
		{ "1", "1\n", 1 },
		{ "1\n2", "1\n2\n", 2 },
		{ "\n1\n\n\n2\n\n", "1\n2\n", 2 },
		{ "{\"a\": 1}\r\n[2]\r\n", "{\"a\": 1}\n[2]\n", 2 },
		{ "  \"x\" \n\t7", "\"x\"\n7\n", 2 },
		{ "\"\xc3\xa9\"\nnull", "\"\xc3\xa9\"\nnull\n", 2 },
	};
	struct stream_lines l;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (int check = 0; check < 2; check++) {
			assert_int_equal(parse(&l, cases[i].body, 100, check),
					 0);
			assert_int_equal(l.n, cases[i].n);
			assert_int_equal(l.text.len, strlen(cases[i].text));
			if (l.text.len)
				assert_memory_equal(l.text.data, cases[i].text,
						    l.text.len);
			stream_lines_deinit(&l);
		}
}

static void test_what_is_no_record(void **state)
{
	static const struct {
		const char *body;
		int r;
		int64_t n, offset;
	} cases[] = {
		{ "1\n{\"a\":}\n3\n", STREAM_LINES_E_INVALID, 1, 5 },
		{ "\n\n  [1,\n2]\n", STREAM_LINES_E_INVALID, 0, 5 },
		{ "1 2\n", STREAM_LINES_E_INVALID, 0, 2 },
		{ "1\n\"\xff\"", STREAM_LINES_E_INVALID, 1, 1 },
		{ "123456\n", 0, 1, 0 },
		{ "1\n1234567\n", STREAM_LINES_E_TOO_LARGE, 1, 0 },
		{ "1234567", STREAM_LINES_E_TOO_LARGE, 0, 0 },
	};
	struct stream_lines l;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t max = cases[i].r == STREAM_LINES_E_INVALID ? 100 : 6;

		assert_int_equal(parse(&l, cases[i].body, max, true),
				 cases[i].r);
		assert_int_equal(l.n, cases[i].n);
		/* Of the byte, or of the one behind it: yajl's. */
		assert_in_range(l.bad_offset, cases[i].offset,
				cases[i].offset + 1);
		stream_lines_deinit(&l);
	}
	assert_int_equal(parse(&l, "no json", 100, false), 0);
	assert_int_equal(l.n, 1);
	stream_lines_deinit(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_what_is_no_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
