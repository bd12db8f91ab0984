#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/http/target.h"
#include "common/macro.h"

static void test_targets(void **state)
{
	static const char *const good[] = {
		"/",   "/a/b;c=d/@x", "/a?b=c&d=/?",           "/%41%ff",
		"//a", "/a+b",        "/~a/!$&'()*+,;=:@-._~",
	};
	static const char *const bad[] = {
		"",    "a",    "*",    "/a b",  "/a#b",  "/%",
		"/%4", "/%4g", "/a\\", "/\"",   "/<a>",  "/{a}",
		"/|",  "/^",   "/`",   "/\x80", "/\x7f", "/\t",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(target_valid(good[i], strlen(good[i])));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(target_valid(bad[i], strlen(bad[i])));
	assert_false(target_valid("/a\0b", 4));
}

static void test_authorities(void **state)
{
	static const char *const good[] = {
		"localhost", "a.b-c_d~e",       "127.0.0.1:80",
		"[::1]",     "[fe80::1]:65535", "a:0",
	};
	static const char *const bad[] = {
		"",         ":80",  "a:",  "a:x",    "a:65536",
		"a:123456", "a:+1", "a b", "me@a",   "a/b",
		"a,b",      "[::1", "[]",  "[::1]x", "[g::1]",
		"::1",      "a%41", "a?",  "a\x80",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(target_authority_valid(good[i], strlen(good[i])));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(target_authority_valid(bad[i], strlen(bad[i])));
}

static size_t absolute(const char *s, const char **authority)
{
	return target_absolute(s, strlen(s), authority);
}

static void test_absolute(void **state)
{
	const char *a = NULL;

	assert_int_equal(absolute("http://ab:1/c", &a), 4);
	assert_memory_equal(a, "ab:1/c", 6);
	assert_int_equal(absolute("HTTPS://ab", &a), 2);
	assert_int_equal(absolute("http://ab?c", &a), 2);
	assert_int_equal(absolute("http:///a", &a), 0);
	assert_int_equal(absolute("http://", &a), 0);
	assert_int_equal(absolute("ftp://a/", &a), 0);
	assert_int_equal(absolute("/a", &a), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_authorities),
		cmocka_unit_test(test_absolute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
