#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/http/chunked.h"

/* Decodes text, given in steps of so many bytes. Returns the bytes consumed
 * up to the end of the body, -EAGAIN when it has none, -EINVAL. */
static ssize_t decode(const char *text, size_t len, size_t step, char *out)
{
	struct chunked c = { 0 };
	const uint8_t *piece;
	size_t at = 0, n;
	ssize_t used;

	*out = '\0';
	while (at < len && c.state != CHUNKED_DONE) {
		used = chunked_read(&c, (const uint8_t *)text + at,
				    MIN(step, len - at), &piece, &n);
		if (used < 0)
			return used;
		assert_true(used > 0);
		if (n)
			strncat(out, (const char *)piece, n);
		at += (size_t)used;
	}
	return c.state == CHUNKED_DONE ? (ssize_t)at : -EAGAIN;
}

static void test_bodies(void **state)
{
	static const char text[] = "5\r\nhello\r\n00A;x=\"y\"\r\n, world!!!\r\n"
				   "0\r\n\r\n";
	size_t len = sizeof(text) - 1, step;
	char out[64];

	for (step = 1; step <= len; step++) {
		assert_int_equal(decode(text, len, step, out), len);
		assert_string_equal(out, "hello, world!!!");
	}
	assert_int_equal(decode("0\r\n\r\nGET", 8, 8, out), 5);
	assert_int_equal(decode("5\r\nhel", 6, 6, out), -EAGAIN);
	assert_string_equal(out, "hel");
}

static void test_refused(void **state)
{
	static const char *const cases[] = {
		"\r\n",
		"-1\r\n",
		"+1\r\n",
		"0x1\r\na",
		" 1\r\na",
		"1 \r\na",
		"1\t\r\na",
		"g\r\n",
		"1\na",
		"1\ra",
		"1\r\naX",
		"1\r\na\n",
		"1\r\na\rX",
		"0\r\nX-A: b",
		"0\r\n\n",
		"0\r\n\rX",
		"1;a\nb",
		"1;\001",
		";a\r\n",
		"0000000000000001\r\n",
		"ffffffffffffffff\r\n",
		"1,1\r\na",
		"1;\x80\r\n",
	};
	char out[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(decode(cases[i], strlen(cases[i]), 1, out),
				 -EINVAL);
}

static void test_extensions_are_bounded(void **state)
{
	char text[CHUNKED_EXTENSION_MAX_BYTES + 16] = "1;", out[8];

	memset(text + 2, 'a', CHUNKED_EXTENSION_MAX_BYTES);
	assert_int_equal(decode(text, strlen(text), 100, out), -EAGAIN);
	strcat(text, "a");
	assert_int_equal(decode(text, strlen(text), 100, out), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_extensions_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
