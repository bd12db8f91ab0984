#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/dev_compare.h"
#include "cli/dev_fixtures.h"
#include "cli/dev_json.h"
#include "cli/dev_store.h"
#include "cli/dev_stream.h"
#include "cli/yaml_write.h"
#include "common/http/precondition.h"
#include "common/json.h"
#include "common/yaml.h"

static json_t *parse(const char *text)
{
	json_t *v = json_loads(text, JSON_DECODE_ANY, NULL);

	assert_non_null(v);
	return v;
}

/* --- variables ------------------------------------------------------------ */

static void test_variables(void **state)
{
	struct dev_store s;
	bool created;

	(void)state;
	dev_store_init(&s);
	assert_int_equal(dev_store_add(&s, "b", "1", 1, false), 0);
	assert_int_equal(dev_store_put(&s, "a", "2", 1, HTTP_EXPECT_ABSENT,
				       &created),
			 0);
	assert_true(created);
	assert_int_equal(dev_store_put(&s, "a", "3", 1, HTTP_EXPECT_ABSENT,
				       &created),
			 DEV_STORE_E_EXISTS);
	assert_int_equal(dev_store_put(&s, "a", "3", 1, 1, &created),
			 DEV_STORE_E_CONFLICT);
	assert_int_equal(dev_store_put(&s, "a", "3", 1, 2, &created), 0);
	assert_int_equal(dev_store_put(&s, "c", "3", 1, HTTP_EXPECT_PRESENT,
				       &created),
			 DEV_STORE_E_CONFLICT);
	assert_int_equal(dev_store_increment(&s, "a", "0.5"), 0);
	assert_int_equal(dev_store_find(&s, "a")->value.len, 3);
	assert_int_equal(dev_store_increment(&s, "new", "2"), 0);
	assert_int_equal(dev_store_put(&s, "t", "\"x\"", 3, -1, &created), 0);
	assert_int_equal(dev_store_increment(&s, "t", "1"), DEV_STORE_E_TYPE);
	assert_int_equal(dev_store_delete(&s, "t", 1), DEV_STORE_E_CONFLICT);
	assert_int_equal(dev_store_delete(&s, "t", -1), 0);
	assert_int_equal(dev_store_delete(&s, "t", -1), DEV_STORE_E_NOT_FOUND);
	/* In the order of their names. */
	assert_string_equal(TAILQ_FIRST(&s.variables)->key, "a");
	assert_string_equal(TAILQ_NEXT(TAILQ_FIRST(&s.variables), link)->key,
			    "b");
	assert_true(dev_store_last(&s)->deleted);
	assert_int_equal(dev_store_last(&s)->version, s.version);
	dev_store_deinit(&s);
}

static void test_history(void **state)
{
	static char large[DEV_CHANGE_VALUE_MAX_BYTES + 1];
	struct dev_store s;
	bool created;

	(void)state;
	memset(large, '1', sizeof(large));
	dev_store_init(&s);
	assert_int_equal(dev_store_add(&s, "k", "1", 1, false), 0);
	assert_false(dev_store_lost(&s, "k", 1));
	assert_true(dev_store_lost(&s, NULL, 2)); /* not known to anybody */
	assert_int_equal(
		dev_store_put(&s, "k", large, sizeof(large), -1, &created), 0);
	assert_false(dev_store_lost(&s, "k", 1)); /* it is the one of now */
	assert_int_equal(dev_change_value(&s, dev_store_last(&s))->len,
			 sizeof(large));
	assert_int_equal(dev_store_put(&s, "k", "3", 1, -1, &created), 0);
	assert_true(dev_store_lost(&s, "k", 1));
	assert_false(dev_store_lost(&s, NULL, 1));
	for (int i = 0; i < DEV_CHANGES_MAX; i++)
		assert_int_equal(dev_store_increment(&s, "n", "1"), 0);
	assert_int_equal(s.n_changes, DEV_CHANGES_MAX);
	assert_true(dev_store_lost(&s, NULL, 1));
	assert_false(dev_store_lost(&s, "k", 3)); /* it still has that one */
	dev_store_deinit(&s);
}

/* --- streams -------------------------------------------------------------- */

static void test_stream(void **state)
{
	struct dev_stream s = { .n = 0 };
	int64_t added;
	size_t len;

	(void)state;
	assert_int_equal(
		dev_stream_append(&s, -1, "1\n\n 2 \n", 7, false, &added), 0);
	assert_int_equal(added, 2);
	assert_int_equal(dev_stream_append(&s, 1, "2\n3", 3, false, &added), 0);
	assert_int_equal(added, 1);
	assert_int_equal(dev_stream_append(&s, 2, "4\n5\n", 4, false, &added),
			 DEV_STREAM_E_CONFLICT);
	assert_int_equal(dev_stream_append(&s, 4, "5\n", 2, false, &added),
			 DEV_STREAM_E_GAP);
	assert_int_equal(dev_stream_append(&s, 3, "", 0, true, &added), 0);
	assert_int_equal(dev_stream_append(&s, 2, "3\n4\n", 4, false, &added),
			 DEV_STREAM_E_ENDED);
	assert_int_equal(dev_stream_append(&s, 2, "3\n", 2, false, &added), 0);
	assert_memory_equal(dev_stream_from(&s, 1, &len), "2\n3\n", 4);
	assert_int_equal(len, 4);
	dev_stream_from(&s, 3, &len);
	assert_int_equal(len, 0);
	dev_stream_deinit(&s);
}

/* --- values --------------------------------------------------------------- */

static void assert_includes(const char *whole, const char *part, bool want)
{
	json_t *a = parse(whole), *b = parse(part);

	assert_int_equal(dev_json_includes(a, b), want);
	json_decref(a);
	json_decref(b);
}

static void test_includes(void **state)
{
	(void)state;
	assert_includes("{\"a\":{\"b\":1,\"c\":2},\"d\":3}",
			"{\"a\":{\"b\":1.0}}", true);
	assert_includes("{\"a\":1}", "{\"a\":1,\"b\":2}", false);
	assert_includes("[{\"a\":1,\"b\":2}]", "[{\"a\":1}]", true);
	assert_includes("[1,2]", "[1]", false);
	assert_includes("null", "false", false);
}

static void test_compare(void **state)
{
	json_t *want = parse("{\"a\":[1,{\"x\":1}],\"b\":{\"c\":1}}");
	json_t *got = parse("{\"a\":[1.0,{\"x\":2}],\"b\":{\"d\":1},\"e\":1}");
	json_t *list = json_array();

	(void)state;
	assert_int_equal(dev_compare(want, got, list), 0);
	assert_int_equal(json_array_size(list), 3);
	assert_string_equal(json_string_value(json_array_get(list, 0)),
			    "a[1].x: expected 1, got 2");
	assert_string_equal(json_string_value(json_array_get(list, 1)),
			    "b.c: expected 1, but it is not there");
	assert_string_equal(json_string_value(json_array_get(list, 2)),
			    "b.d: not expected, got 1");
	json_array_clear(list);
	assert_int_equal(dev_compare(want, want, list), 0);
	assert_int_equal(json_array_size(list), 0);
	json_decref(want);
	json_decref(got);
	json_decref(list);
}

/* --- YAML ----------------------------------------------------------------- */

static void test_yaml(void **state)
{
	static const char *const values[] = {
		"null",
		"true",
		"-1.5",
		"\"\"",
		"\"a b\"",
		"[]",
		"{}",
		"{\"a\":{},\"b\":[],\"c\":[[],[1,[2]],{}]}",
		"{\"k: x\":\"- a\",\"#\":\"null\",\"true\":\"007\"}",
		"[{\"a\":[{\"b\":1,\"c\":[1]}]},\"x\"]",
		"[\"\\u0001\\u007f\\u0085\\u2028\\ufeff\\uffff\\n\\\"\\\\\"]",
		"[\"\\ud83d\\ude00\",\"~\",\"yes\",\"1\",\"-\",\"a\\tb\"]",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		char err[YAML_ERROR_MAX_BYTES];
		json_t *want = parse(values[i]), *got;
		struct buf text = { 0 };

		assert_int_equal(yaml_write(&text, want), 0);
		got = yaml_parse_text(text.data, text.len, err, sizeof(err));
		if (!got)
			fail_msg("%s: %s", buf_cstr(&text), err);
		if (!json_equal(want, got))
			fail_msg("%s is not %s", buf_cstr(&text), values[i]);
		json_decref(want);
		json_decref(got);
		buf_deinit(&text);
	}
}

/* --- fixtures ------------------------------------------------------------- */

static void test_fixtures(void **state)
{
	static const char text[] = "input: 1\ncondition: null\n"
				   "input_stream_end: broken\n";
	struct dev_fixtures f;
	struct buf mistakes = { 0 };

	(void)state;
	assert_int_equal(dev_fixtures_parse(&f, "a.yaml", text, strlen(text),
					    &mistakes),
			 0);
	assert_int_equal(json_integer_value(f.input), 1);
	assert_null(f.condition);
	assert_int_equal(f.input_stream_end, DEV_STREAM_BROKEN);
	dev_fixtures_deinit(&f);
	assert_int_equal(
		dev_fixtures_parse(&f, "a.yaml", "# x\n", 4, &mistakes), 0);
	dev_fixtures_deinit(&f);
	assert_true(dev_fixtures_parse(&f, "a.json", "{\"x\":1,\"tools\":[{}]}",
				       20, &mistakes) < 0);
	assert_non_null(strstr(buf_cstr(&mistakes), "x: is not known"));
	assert_non_null(strstr(buf_cstr(&mistakes), "tools[0]: "));
	buf_deinit(&mistakes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_variables),
		cmocka_unit_test(test_history),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_includes),
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_yaml),
		cmocka_unit_test(test_fixtures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
