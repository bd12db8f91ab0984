#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "common/json.h"

static int check(const char *s, size_t len)
{
	size_t at;

	return json_check(s, len, &at);
}

static void test_check_accepts(void **state)
{
	static const char *const good[] = {
		"null",
		" true ",
		"0",
		"-0",
		"1e400",
		"12345678901234567890123",
		"\"\"",
		"\"\\u0000\\ud83d\\ude00\"",
		"[]",
		"{}",
		"{\"a\":[1,2,{\"b\":null}]}",
		"[[[[[[1]]]]]]",
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (check(good[i], strlen(good[i])) != 0)
			fail_msg("refused: %s", good[i]);
}

static void test_check_refuses(void **state)
{
	static const char *const bad[] = {
		"",          " ",          "nul",
		"01",        "+1",         "1.",
		".5",        "1e",         "'a'",
		"\"a",       "\"\\x41\"",  "\"\t\"",
		"[1,]",      "{\"a\":1,}", "{a:1}",
		"[1",        "1 2",        "{} {}",
		"[]x",       "\"\xff\"",   "\"\xc0\xaf\"",
		"NaN",       "Infinity",   "/* c */ 1",
		"{\"a\" 1}", "[,1]",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (check(bad[i], strlen(bad[i])) != -EINVAL)
			fail_msg("accepted: %s", bad[i]);
	assert_int_equal(check("1\0", 2), -EINVAL);
}

static void test_check_says_where(void **state)
{
	size_t at;

	assert_int_equal(json_check("[1,2,x]", 7, &at), -EINVAL);
	assert_in_range(at, 4, 6);
}

static void test_check_depth(void **state)
{
	char deep[2 * (JSON_DEPTH_MAX + 1)];

	memset(deep, '[', JSON_DEPTH_MAX);
	memset(deep + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	assert_int_equal(check(deep, 2 * JSON_DEPTH_MAX), 0);
	memset(deep, '[', JSON_DEPTH_MAX + 1);
	memset(deep + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
	assert_int_equal(check(deep, sizeof(deep)), -EINVAL);
}

static void test_own_objects(void **state)
{
	static const char text[] = "{\"s\":\"x\",\"i\":9007199254740993,"
				   "\"b\":true,\"n\":null}";
	_cleanup_json_ json_t *o = NULL;
	char err[128];

	o = json_parse_object(text, strlen(text), err, sizeof(err));
	assert_non_null(o);
	assert_string_equal(json_get_str(o, "s", "?"), "x");
	assert_string_equal(json_get_str(o, "i", "?"), "?");
	assert_true(json_get_int(o, "i", 0) == 9007199254740993);
	assert_true(json_get_int(o, "absent", 7) == 7);
	assert_true(json_get_bool(o, "b", false));
	assert_true(json_get_bool(o, "n", true));
	assert_null(json_parse_object("[]", 2, err, sizeof(err)));
	assert_null(
		json_parse_object("{\"a\":1,\"a\":2}", 13, err, sizeof(err)));
	assert_non_null(strstr(err, "duplicate"));
	assert_null(
		json_parse_object("{\"a\":\"\\u0000\"}", 14, err, sizeof(err)));
	assert_non_null(strstr(err, "the character \\u0000 is not accepted"));
	assert_null(strstr(err, "JSON_"));
}

static void test_append_string(void **state)
{
	struct buf b = { 0 };
	static const char raw[] = "a\"\\\n\x7f\xc3\xa9\xff\xed\xa0\x80";
	size_t at;

	assert_int_equal(json_append_string(&b, raw, strlen(raw)), 0);
	assert_int_equal(json_check(b.data, b.len, &at), 0);
	assert_string_equal(buf_cstr(&b),
			    "\"a\\\"\\\\\\u000a\\u007f\xc3\xa9\xef\xbf\xbd"
			    "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	buf_deinit(&b);
}

static void test_type_name(void **state)
{
	static const struct {
		const char *json, *name;
	} cases[] = {
		{ "{}", "an object" },    { "[]", "an array" },
		{ "\"\"", "a string" },   { "1", "a number" },
		{ "1.5", "a number" },    { "true", "a boolean" },
		{ "false", "a boolean" }, { "null", "null" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *v = json_loads(cases[i].json, JSON_DECODE_ANY, NULL);

		assert_non_null(v);
		assert_string_equal(json_type_name(v), cases[i].name);
		json_decref(v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check_accepts),
		cmocka_unit_test(test_check_refuses),
		cmocka_unit_test(test_check_says_where),
		cmocka_unit_test(test_check_depth),
		cmocka_unit_test(test_own_objects),
		cmocka_unit_test(test_append_string),
		cmocka_unit_test(test_type_name),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
