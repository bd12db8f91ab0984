#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/json.h"
#include "sidecar/change_stream.h"
#include "sidecar/watch.h"

static void check(const struct change *c, const char *name, const char *key,
		  const char *expect)
{
	struct buf out = { 0 };

	assert_int_equal(watch_append_event(&out, name, key, c), 0);
	assert_string_equal(buf_cstr(&out), expect);
	buf_deinit(&out);
}

static struct change with_value(uint64_t version, const char *value)
{
	return (struct change){
		.version = version,
		.value = (const uint8_t *)value,
		.len = strlen(value),
	};
}

static void test_event(void **state)
{
	const struct change gone = { .version = 7, .deleted = true };
	struct change c = with_value(12, "{\"a\": [1, 2]}");

	check(&c, "change", "k",
	      "event: change\nid: 12\n"
	      "data: {\"key\":\"k\",\"version\":12,\"value\":{\"a\": [1, 2]}}"
	      "\n\n");
	check(&gone, "delete", "a\"b/c",
	      "event: delete\nid: 7\n"
	      "data: {\"key\":\"a\\\"b/c\",\"version\":7,\"deleted\":true}"
	      "\n\n");
	c = with_value(UINT64_MAX, "\"\"");
	check(&c, "snapshot", "k",
	      "event: snapshot\nid: 18446744073709551615\n"
	      "data: {\"key\":\"k\",\"version\":18446744073709551615,"
	      "\"value\":\"\"}\n\n");
}

/* A line end in a value must not end the event, and the value stays one. */
static void test_lines_of_a_value(void **state)
{
	static const char value[] = "\n{\r\n\t\"a\\n\\r\" :\r[1,\n\n2]\r\n}\n";
	const struct change c = with_value(1, value);
	struct buf out = { 0 };
	const char *start, *end;
	json_t *was, *is;

	check(&c, "change", "k",
	      "event: change\nid: 1\ndata: {\"key\":\"k\",\"version\":1,"
	      "\"value\": {  \t\"a\\n\\r\" : [1,  2]  } }\n\n");
	assert_int_equal(watch_append_event(&out, "change", "k", &c), 0);
	start = strstr(buf_cstr(&out), "\"value\":") + strlen("\"value\":");
	end = strstr(start, "}\n\n");
	was = json_loads(value, JSON_DECODE_ANY, NULL);
	is = json_loadb(start, (size_t)(end - start), JSON_DECODE_ANY, NULL);
	assert_non_null(is);
	assert_true(json_equal(was, is));
	json_decref(was);
	json_decref(is);
	buf_deinit(&out);
}

static void test_lost(void **state)
{
	struct buf out = { 0 };

	assert_int_equal(watch_append_lost(&out, "it \"died\"\nthere"), 0);
	assert_string_equal(buf_cstr(&out),
			    "event: disconnected\n"
			    "data: {\"reason\":\"it \\\"died\\\"\\u000athere\"}"
			    "\n\n");
	buf_deinit(&out);
}

static void test_version(void **state)
{
	static const char *const bad[] = {
		"-1", "x", "1x", " 1", "+1", "1 ", "0x1", "9223372036854775808"
	};
	int64_t v;

	assert_int_equal(watch_parse_version(NULL, &v), 0);
	assert_int_equal(v, -1);
	assert_int_equal(watch_parse_version("", &v), 0);
	assert_int_equal(v, -1);
	assert_int_equal(watch_parse_version("0", &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(watch_parse_version("9223372036854775807", &v), 0);
	assert_true(v == INT64_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(watch_parse_version(bad[i], &v), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_event),
		cmocka_unit_test(test_lines_of_a_value),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
