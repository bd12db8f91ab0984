#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/hex.h"
#include "common/percent.h"

static void test_encode(void **state)
{
	static const char all[] = "aZ09-._~ /%+\xc3\xa9";
	char out[PERCENT_ENCODED_BYTES(sizeof(all))];
	size_t n;

	(void)state;
	n = percent_encode(all, out);
	assert_int_equal(n, strlen(out));
	assert_string_equal(out, "aZ09-._~%20%2F%25%2B%C3%A9");
	assert_int_equal(percent_encode("", out), 0);
	assert_string_equal(out, "");
}

static void test_append(void **state)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };

	(void)state;
	assert_int_equal(buf_append_str(&b, "/v1/jobs/"), 0);
	assert_int_equal(percent_append(&b, "a/b"), 0);
	assert_int_equal(percent_append_query(&b, "state", NULL), 0);
	assert_string_equal(buf_cstr(&b), "/v1/jobs/a%2Fb");
	assert_int_equal(percent_append_query(&b, "state", "a b"), 0);
	assert_string_equal(buf_cstr(&b), "/v1/jobs/a%2Fb&state=a%20b");
}

static int decode(const char *s, bool query, char out[8])
{
	return percent_decode(s, strlen(s), query, out, 8);
}

static void test_decode(void **state)
{
	char out[8];

	(void)state;
	assert_int_equal(decode("a%2fB%2F+", false, out), 0);
	assert_string_equal(out, "a/B/+");
	assert_int_equal(decode("a+%2B", true, out), 0);
	assert_string_equal(out, "a +");
	assert_int_equal(decode("1234567", false, out), 0);
}

static void test_decode_refuses(void **state)
{
	static const char *const bad[] = { "%",   "%4",  "%4g",     "%g4",
					   "%00", "a%0", "12345678" };
	char out[8];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_true(decode(bad[i], false, out) < 0);
}

static void test_hex(void **state)
{
	char out[5] = "";

	(void)state;
	hex_encode("\x00\xfe", 2, out);
	assert_string_equal(out, "00fe");
	assert_int_equal(hex_value('0'), 0);
	assert_int_equal(hex_value('f'), 15);
	assert_int_equal(hex_value('F'), 15);
	assert_int_equal(hex_value('g'), -1);
	assert_int_equal(hex_value('@'), -1);
	assert_int_equal(hex_value('\xff'), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encode),
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_decode_refuses),
		cmocka_unit_test(test_hex),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
