#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/yaml.h"

static void assert_reads(const char *text, const char *want)
{
	char err[YAML_ERROR_MAX_BYTES] = "";
	json_t *v = yaml_parse_text(text, strlen(text), err, sizeof(err));
	struct buf got = { 0 };

	if (!v)
		fail_msg("%s: %s", text, err);
	assert_int_equal(json_append(&got, v), 0);
	assert_string_equal(buf_cstr(&got), want);
	buf_deinit(&got);
	json_decref(v);
}

static void assert_refused_as(const char *name, const char *text, size_t len,
			      const char *want)
{
	char err[YAML_ERROR_MAX_BYTES] = "";
	json_t *v = yaml_parse_named(name, text, len, err, sizeof(err));

	if (v)
		fail_msg("accepted: %s", text);
	if (!strstr(err, want))
		fail_msg("%s: \"%s\" does not say \"%s\"", text, err, want);
}

static void assert_refused(const char *text, const char *want)
{
	assert_refused_as("a.yaml", text, strlen(text), want);
}

static void test_scalars_of_json(void **state)
{
	(void)state;
	assert_reads("{a: null, b: ~, c: , d: true, e: false}",
		     "{\"a\":null,\"b\":null,\"c\":null,\"d\":true,"
		     "\"e\":false}");
	assert_reads("[12, -3, 0, 9223372036854775807, -9223372036854775808]",
		     "[12,-3,0,9223372036854775807,-9223372036854775808]");
	assert_reads("[1.5, -2e3, 0.25E+2]", "[1.5,-2000.0,25.0]");
}

static void test_everything_else_is_a_string(void **state)
{
	static const char *const strings[] = {
		"yes",  "no",    "on",   "off",   "Yes",        "True", "FALSE",
		"Null", "0x1f",  "007",  "1_000", "+1",         ".5",   "1.",
		"1e",   ".inf",  ".nan", "-a",    "12ab",       "1:30", "1.2.3",
		"-01",  "1e1e1", "<<",   "=",     "2024-01-01",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++) {
		char text[64], want[64];

		snprintf(text, sizeof(text), "a: %s", strings[i]);
		snprintf(want, sizeof(want), "{\"a\":\"%s\"}", strings[i]);
		assert_reads(text, want);
	}
}

static void test_quoted_is_a_string(void **state)
{
	(void)state;
	assert_reads("['1', \"true\", !!str null, ! 12, '']",
		     "[\"1\",\"true\",\"null\",\"12\",\"\"]");
	assert_reads("a: |\n  1\n  2\nb: >-\n  x\n  y\n",
		     "{\"a\":\"1\\n2\\n\",\"b\":\"x y\"}");
	assert_reads("\"\\u00e9\\n\\x41\"", "\"\xc3\xa9\\nA\"");
}

static void test_keys_are_strings(void **state)
{
	(void)state;
	assert_reads("200: a\ntrue: b\n~: c\nnull: d\n",
		     "{\"200\":\"a\",\"true\":\"b\",\"~\":\"c\","
		     "\"null\":\"d\"}");
	assert_refused("a: 1\nb: 2\na: 3\n",
		       "line 3, column 1: the key \"a\" is there twice");
	assert_refused("{200: 1, '200': 2}", "is there twice");
	assert_refused("? [a]\n: 1", "a key must be a string");
}

static void test_nests(void **state)
{
	(void)state;
	assert_reads("a:\n  - b: [1, {c: 2}]\n    d:\n      e: f\n  - []\n",
		     "{\"a\":[{\"b\":[1,{\"c\":2}],\"d\":{\"e\":\"f\"}},[]]}");
	assert_reads("{\"json\": [1, 2.5, \"x\", null]}",
		     "{\"json\":[1,2.5,\"x\",null]}");
}

static void test_documents(void **state)
{
	(void)state;
	assert_reads("", "null");
	assert_reads("# nothing\n", "null");
	assert_reads("---\na\n...\n", "\"a\"");
	assert_reads("\xef\xbb\xbf"
		     "a: 1",
		     "{\"a\":1}");
	assert_refused("a\n---\nb\n", "line 2, column 1: one document");
}

static void test_refuses_what_json_has_not(void **state)
{
	(void)state;
	assert_refused("a: &x 1\nb: *x\n", "line 1, column 4: anchors");
	assert_refused("a: &x [1]", "anchors");
	assert_refused("a: &x {b: 1}", "anchors");
	assert_refused("&x a: 1", "anchors");
	assert_refused("a: !!int 1", "the tag tag:yaml.org,2002:int");
	assert_refused("a: !!map {}", "tag");
	assert_refused("a: !mine [1]", "the tag !mine is not accepted");
	assert_refused("a: *x", "aliases");
	assert_refused("a: 9223372036854775808", "line 1, column 4: the number "
						 "9223372036854775808 is too");
	assert_refused("a: 1e400", "too big");
	assert_refused("a: \"\\0\"", "U+0000");
	assert_refused("\"a\\0\": 1", "U+0000");
	assert_refused("a: \"\\ud800\"", "line 1");
	assert_refused("a: \xff\xfe", "byte 3");
	assert_refused("a: [1", "line 2, column 1: while parsing a flow");
	assert_refused("a: b: c", "line 1, column 5: mapping values");
	assert_refused("\ta: 1", "line 1, column 1");
}

/* "[[[…]]]" of so many levels. */
static char *nested(size_t levels)
{
	char *s = malloc(2 * levels + 1);

	assert_non_null(s);
	memset(s, '[', levels);
	memset(s + levels, ']', levels);
	s[2 * levels] = '\0';
	return s;
}

static void test_limits(void **state)
{
	char *ok = nested(YAML_DEPTH_MAX), *deep = nested(YAML_DEPTH_MAX + 1);
	char *long_text = malloc(YAML_TEXT_MAX_BYTES + 1);
	char err[YAML_ERROR_MAX_BYTES];

	(void)state;
	assert_non_null(long_text);
	assert_reads(ok, ok);
	assert_refused(deep, "line 1, column 65: more than 64 levels");
	assert_refused_as("a.json", deep, strlen(deep), "more than 64 levels");
	memset(long_text, ' ', YAML_TEXT_MAX_BYTES + 1);
	assert_refused_as("a.yaml", long_text, YAML_TEXT_MAX_BYTES + 1,
			  "1048577 bytes");
	assert_refused_as("a.json", long_text, YAML_TEXT_MAX_BYTES + 1,
			  "1048577 bytes");
	memset(long_text, '[', YAML_TEXT_MAX_BYTES);
	assert_null(yaml_parse_text(long_text, YAML_TEXT_MAX_BYTES, err,
				    sizeof(err)));
	free(ok);
	free(deep);
	free(long_text);
}

static void test_json_by_its_name(void **state)
{
	static const char json[] = "{\"a\": [1, true]}";
	char err[YAML_ERROR_MAX_BYTES];
	json_t *v = yaml_parse_named("x.json", json, strlen(json), err,
				     sizeof(err));

	(void)state;
	assert_non_null(v);
	json_decref(v);
	assert_refused_as("x.json", "{\n a: 1}", 8, "line 2, column 2");
	assert_refused_as("x.json", "{\"a\":1,\"a\":2}", 13, "duplicate");
	assert_refused_as("x.json", "\"\\u0000\"", 8, "\\u0000");
	assert_refused_as("x.json", "", 0, "line 1");
	v = yaml_parse_named("x.yaml", "a: 1", 4, err, sizeof(err));
	assert_non_null(v);
	json_decref(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scalars_of_json),
		cmocka_unit_test(test_everything_else_is_a_string),
		cmocka_unit_test(test_quoted_is_a_string),
		cmocka_unit_test(test_keys_are_strings),
		cmocka_unit_test(test_nests),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_refuses_what_json_has_not),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_json_by_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
