#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/number.h"

static const char *add(const char *a, const char *b)
{
	static char out[NUMBER_MAX_BYTES];

	switch (number_add(a, strlen(a), b, strlen(b), out)) {
	case 0:
		return out;
	case NUMBER_E_TYPE:
		return "type";
	default:
		return "range";
	}
}

static void test_integers_are_exact(void **state)
{
	(void)state;
	assert_string_equal(add("1", "2"), "3");
	assert_string_equal(add("-0", "0"), "0");
	assert_string_equal(add(" 9007199254740993\n", "0"),
			    "9007199254740993");
	assert_string_equal(add("9223372036854775807", "-1"),
			    "9223372036854775806");
	assert_string_equal(add("-9223372036854775807", "-1"),
			    "-9223372036854775808");
	assert_string_equal(add("9223372036854775807", "1"), "range");
	assert_string_equal(add("-9223372036854775808", "-1"), "range");
	assert_string_equal(add("9223372036854775808", "0"), "range");
}

static void test_reals_stay_real(void **state)
{
	(void)state;
	assert_string_equal(add("1.5", "1"), "2.5");
	assert_string_equal(add("1.5", "0.5"), "2.0");
	assert_string_equal(add("0.1", "0.2"), "0.30000000000000004");
	assert_string_equal(add("1e2", "1"), "101.0");
	assert_string_equal(add("1E300", "1e300"), "2e+300");
	assert_string_equal(add("1.7e308", "1.7e308"), "range");
	assert_string_equal(add("1e999", "1"), "range");
	assert_string_equal(add("-1.7976931348623157e308", "0"),
			    "-1.7976931348623157e+308");
}

static void test_what_is_no_number(void **state)
{
	static const char *const bad[] = { "",     " ",     "-",    "+1",
					   "01",   "1.",    ".5",   "1e",
					   "1e+",  "0x10",  "NaN",  "Infinity",
					   "null", "\"1\"", "1 2",  "[1]",
					   "1,",   "--1",   "1.e5", "1e5.5" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_string_equal(add(bad[i], "1"), "type");
		assert_string_equal(add("1", bad[i]), "type");
	}
	char out[NUMBER_MAX_BYTES];
	assert_int_equal(number_add("1\0", 2, "1", 1, out), NUMBER_E_TYPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_integers_are_exact),
		cmocka_unit_test(test_reals_stay_real),
		cmocka_unit_test(test_what_is_no_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
