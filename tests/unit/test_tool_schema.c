#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "backend/tool_schema.h"
#include "backend/tool_violations.h"
#include "common/buf.h"
#include "common/json.h"
#include "tests/unit/js.h"

static int compile(const char *source, struct tool_violations *v,
		   struct tool_schema **out)
{
	struct tool_path path;
	json_t *s = js(source);
	int r;

	tool_path_init(&path, "");
	r = tool_schema_compile(s, &path, v, out);
	assert_string_equal(path.text, "");
	json_decref(s);
	return r;
}

static struct tool_schema *schema(const char *source)
{
	struct tool_violations v = { 0 };
	struct tool_schema *s = NULL;
	struct buf why = { 0 };

	if (compile(source, &v, &s)) {
		assert_int_equal(tool_violations_text(&v, &why), 0);
		fail_msg("%s: %s", source, buf_cstr(&why));
	}
	return s;
}

/* The violations as text, "" for none. */
static char *check(const char *source, const json_t *value, json_t **out)
{
	struct tool_schema *s = schema(source);
	struct tool_violations v = { 0 };
	struct buf why = { 0 };
	size_t len;
	int r = tool_schema_check(s, value, &v, out);

	assert_int_equal(r, v.found ? TOOL_E_INVALID : 0);
	assert_int_equal(tool_violations_text(&v, &why), 0);
	assert_int_equal(buf_append(&why, "", 0), 0);
	tool_violations_deinit(&v);
	tool_schema_free(s);
	return why.len ? buf_take(&why, &len) : strdup("");
}

/* --- the keywords, one by one -------------------------------------------- */

static const struct {
	const char *schema;
	const char *valid, *invalid; /* lists of values */
} keyword_cases[] = {
	{ "true", "[1, null, {}]", "[]" },
	{ "false", "[]", "[1, null, {}]" },
	{ "{}", "[1, null, {}, [], 'a']", "[]" },
	{ "{'type':'integer'}", "[1, 1.0, -3]",
	  "[1.1, '1', null, [], {}, true]" },
	{ "{'type':'number'}", "[1, 1.1]", "['1', null, [], {}, true]" },
	{ "{'type':'string'}", "['1', '']", "[1, null, [], {}, true]" },
	{ "{'type':'object'}", "[{}, {'a':1}]", "[1, 'a', null, [], true]" },
	{ "{'type':'array'}", "[[], [1]]", "[1, 'a', null, {}, true]" },
	{ "{'type':'boolean'}", "[true, false]", "[0, 'true', null, [], {}]" },
	{ "{'type':'null'}", "[null]", "[0, '', false, [], {}]" },
	{ "{'type':['integer','string']}", "[1, 'a']", "[1.5, null, {}]" },
	{ "{'type':['array','null']}", "[[], null]", "[{}, 1]" },
	{ "{'enum':[1,2,3]}", "[1, 2.0]", "[4, '1', null]" },
	{ "{'enum':[6,'a',[],true,{'b':12}]}", "[6, 'a', [], true, {'b':12.0}]",
	  "[1, null, {'b':13}, {}, [1]]" },
	{ "{'enum':[false]}", "[false]", "[0, null, '']" },
	{ "{'const':2}", "[2, 2.0]", "[5, 'a', null]" },
	{ "{'const':{'a':1,'b':2}}", "[{'b':2,'a':1}]", "[{'a':1}, [1], 5]" },
	{ "{'const':null}", "[null]", "[0]" },
	{ "{'const':9007199254740992}", "[9007199254740992]",
	  "[9007199254740991, 9007199254740993]" },
	{ "{'minimum':1.1}", "[1.1, 2, 'x']", "[0.6, 1]" },
	{ "{'minimum':-2}", "[-1, 0, -2, -2.0]", "[-2.0001, -3]" },
	{ "{'maximum':3.0}", "[2.6, 3, 'x']", "[3.5, 4]" },
	{ "{'maximum':9223372036854775807}", "[9223372036854775807]",
	  "[9.3e18]" },
	{ "{'exclusiveMinimum':1.1}", "[1.2, 2, 'x']", "[1.1, 0.6]" },
	{ "{'exclusiveMaximum':3}", "[2.2, 'x']", "[3, 3.0, 3.5]" },
	{ "{'multipleOf':2}", "[10, 0, 4.0, 'x']", "[7, 4.5]" },
	{ "{'multipleOf':1.5}", "[0, 4.5, 3]", "[35]" },
	{ "{'multipleOf':0.0001}", "[0.0075]", "[0.00751]" },
	{ "{'multipleOf':0.01}", "[0.07, 19.99, 1.13]", "[0.075]" },
	{ "{'minLength':2}", "['foo', 'fo', 1]", "['f', '\xf0\x9f\x92\xa9']" },
	{ "{'maxLength':2}", "['f', '\xf0\x9f\x92\xa9\xf0\x9f\x92\xa9', 100]",
	  "['foo']" },
	{ "{'pattern':'^a*$'}", "['aaa', '', true, 1, null, {}]",
	  "['abc', 'a\\n']" },
	{ "{'pattern':'a+'}", "['xxaayy']", "['xyz']" },
	{ "{'pattern':'^\\\\d\\\\u00e9.$'}", "['1\xc3\xa9\xc3\xa9']",
	  "['1\xc3\xa9', '\xd9\xa1\xc3\xa9x']" },
	{ "{'format':'email'}",
	  "['joe.bloggs@example.com', 'te~st@example.com', 'a+b@x', 12]",
	  "['2962', '@x.org', 'a@', '.test@example.com', 'test.@example.com',"
	  " 'te..st@example.com', 'a b@x.org', 'a@x..org', 'a@-x.org']" },
	{ "{'format':'uri'}",
	  "['http://foo.bar/?baz=qux#quux', 'mailto:a@b.org', 'urn:a:b',"
	  " 'http://foo.bar/?q=Test%20URL', 'ftp://x/y.txt', 1]",
	  "['/abc', 'bar', '//foo.bar/', '\\\\\\\\WINDOWS', 'abc', ':// x',"
	  " 'http:// a', 'http://a/%zz', 'http://\xc3\xa9', '1a:b', 'http:']" },
	{ "{'format':'date-time'}",
	  "['1963-06-19T08:30:06.283185Z', '1963-06-19T08:30:06Z',"
	  " '1937-01-01T12:00:27.87+00:20', '1990-12-31T15:59:50.123-08:00',"
	  " '1998-12-31T23:59:60Z', '1998-12-31T15:59:60.123-08:00',"
	  " '2020-02-29t00:00:00z', 12]",
	  "['1998-12-31T23:59:61Z', '1998-12-31T23:58:60Z',"
	  " '1998-12-31T22:59:60Z', '1990-02-31T15:59:59.123-08:00',"
	  " '1990-12-31T15:59:59-24:00', '1963-06-19T08:30:06.28123+01:00Z',"
	  " '06/19/1963 08:30:06 PST', '2013-350T01:01:01',"
	  " '1963-6-19T08:30:06Z', '1963-06-1T08:30:06Z', '2021-02-29T00:00:00Z',"
	  " '1963-06-19T08:30:06', '1963-06-19T08:30:06.Z', '']" },
	{ "{'format':'hostname'}",
	  "['www.example.com', 'xn--4gbwdl.xn--wgbh1c', 'h-1', '1host', 1]",
	  "['-a-host-name', 'a-host-name-', 'a_b', '', '.', 'a..b', 'a b',"
	  " 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa']" },
	{ "{'format':'ipv4'}", "['192.168.0.1', '255.255.255.255', 1]",
	  "['127.0.0.0.1', '256.256.256.256', '127.0', '0x7f000001',"
	  " '2130706433', '087.10.0.1', '1.2.3.4 ', '']" },
	{ "{'format':'ipv6'}",
	  "['::1', '::abef', '::', '2001:db8::1', '1:2::192.168.0.1', 1]",
	  "['12345::', ':2:3:4:5:6:7:8', '1:1:1:1:1:1:1:1:1:1', '::1%eth0',"
	  " ' ::1', '1.2.3.4', '']" },
	{ "{'items':{'type':'integer'}}", "[[1,2], [], {'a':1}, 'x']",
	  "[[1,'x']]" },
	{ "{'items':false}", "[[]]", "[[1]]" },
	{ "{'prefixItems':[{'type':'integer'},{'type':'string'}]}",
	  "[[1,'a'], [1], [], [1,'a',true]]", "[['a',1], [1,2]]" },
	{ "{'prefixItems':[{}],'items':false}", "[[], [1]]", "[[1,2]]" },
	{ "{'minItems':1}", "[[1], 'x']", "[[]]" },
	{ "{'maxItems':2}", "[[1,2], 'xxx']", "[[1,2,3]]" },
	{ "{'uniqueItems':true}",
	  "[[1,2], [1,true], [0,false], [{'a':1},{'a':2}], [[1],[2]], 'aa',"
	  " ['1',1]]",
	  "[[1,1], [1.0,1], ['a','b','a'], [{'a':1,'b':2},{'b':2,'a':1}],"
	  " [[1],[1]]]" },
	{ "{'properties':{'a':{'type':'integer'},'b':{'type':'string'}}}",
	  "[{'a':1,'b':'x'}, {}, {'c':[]}, [], 12]",
	  "[{'a':1,'b':{}}, {'a':[],'b':{}}]" },
	{ "{'properties':{'a':false}}", "[{}, {'b':1}]", "[{'a':1}]" },
	{ "{'required':['a']}", "[{'a':1}, {'a':null}, [], 'a', 12]",
	  "[{'b':1}, {}]" },
	{ "{'required':[]}", "[{}]", "[]" },
	{ "{'properties':{'a':{},'b':{}},'additionalProperties':false}",
	  "[{'a':1}, [1], 'x', {}]", "[{'a':1,'b':2,'c':3}]" },
	{ "{'properties':{'a':{}},'additionalProperties':{'type':'boolean'}}",
	  "[{'a':1}, {'a':1,'c':true}]", "[{'a':1,'c':12}]" },
	{ "{'patternProperties':{'^v':{}},'additionalProperties':false,"
	  "'properties':{'a':{}}}",
	  "[{'a':1,'vroom':2}]", "[{'b':1}, {'av':1}]" },
	{ "{'patternProperties':{'f.*o':{'type':'integer'}}}",
	  "[{'foo':1}, {'foo':1,'foooooo':2}, ['foo'], {'x':'y'}]",
	  "[{'foo':'bar'}, {'foo':1,'foooooo':'baz'}]" },
	{ "{'patternProperties':{'a*':{'type':'integer'},"
	  "'aaa*':{'maximum':20}}}",
	  "[{'a':21}, {'aaaa':18}]", "[{'a':'bar'}, {'aaaa':31}]" },
	{ "{'minProperties':1}", "[{'a':1}, [], '']", "[{}]" },
	{ "{'maxProperties':1}", "[{'a':1}, [1,2]]", "[{'a':1,'b':2}]" },
	{ "{'allOf':[{'required':['a']},{'required':['b']}]}",
	  "[{'a':1,'b':2}, 1]", "[{'a':1}, {'b':2}, {}]" },
	{ "{'anyOf':[{'type':'integer'},{'minimum':2}]}", "[1, 2.5, 3, 'x']",
	  "[1.5]" },
	{ "{'oneOf':[{'type':'integer'},{'minimum':2}]}", "[1, 2.5]",
	  "[3, 1.5]" },
	{ "{'oneOf':[true,true]}", "[]", "[1]" },
	{ "{'not':{'type':'integer'}}", "['a', 1.5]", "[1]" },
	{ "{'not':{'type':['integer','boolean']}}", "['a']", "[1, true]" },
	{ "{'not':{'properties':{'a':{'type':'string'}},'required':['a']}}",
	  "[{'a':1}]", "[1, {'a':'x'}]" },
	{ "{'not':{'not':{'type':'integer'}}}", "[1]", "['a']" },
	{ "{'allOf':[{'anyOf':[{'oneOf':[{'const':1},{'const':2}]}]}],"
	  "'title':'t','description':'d','examples':[1],'$comment':'c'}",
	  "[1, 2]", "[3]" },
};

static void check_all(const char *source, const char *values, bool valid)
{
	json_t *list = js(values), *v;
	size_t i;

	json_array_foreach(list, i, v) {
		char *why = check(source, v, NULL);

		if (!*why != valid)
			fail_msg("%s: value %zu of %s is %s: %s", source, i,
				 values, valid ? "invalid" : "valid", why);
		free(why);
	}
	json_decref(list);
}

static void test_keywords(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keyword_cases); i++) {
		check_all(keyword_cases[i].schema, keyword_cases[i].valid,
			  true);
		check_all(keyword_cases[i].schema, keyword_cases[i].invalid,
			  false);
	}
}

/* --- what is said -------------------------------------------------------- */

static const struct {
	const char *schema, *value, *says;
} message_cases[] = {
	{ "{'type':'string'}", "1", "must be a string, not a number" },
	{ "{'type':['integer','null']}", "1.5",
	  "must be null or an integer, not 1.5" },
	{ "{'enum':['a','b']}", "'c'",
	  "must be one of \"a\", \"b\", not \"c\"" },
	{ "{'properties':{'a':{'items':{'maximum':3}}}}", "{'a':[1,5,2,0.1,9]}",
	  "/a/1: must be at most 3, not 5; /a/4: must be at most 3, not 9" },
	{ "{'minimum':0.1}", "0.05", "must be at least 0.1, not 0.05" },
	{ "{'required':['to','a/b~']}", "{}",
	  "/to: is required; /a~1b~0: is required" },
	{ "{'properties':{'a':{},'b':{}},'additionalProperties':false}",
	  "{'x':1}", "/x: is not known here; known are a, b" },
	{ "{'minLength':3,'pattern':'^x'}", "'\xc3\xa9'",
	  "must have at least 3 characters, not 1; must match the pattern ^x" },
	{ "{'anyOf':[{'required':['a']},{'type':'string'}]}", "{}",
	  "fits none of the 2 possibilities: /a: is required; or must be" },
	{ "{'uniqueItems':true}", "[1,2,1]", "as 0 and 2 are" },
	{ "{'format':'email'}", "'x'", "must be an email address" },
};

static void test_messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(message_cases); i++) {
		json_t *v = js(message_cases[i].value);
		char *why = check(message_cases[i].schema, v, NULL);

		if (!strstr(why, message_cases[i].says))
			fail_msg("\"%s\" is not in \"%s\"",
				 message_cases[i].says, why);
		free(why);
		json_decref(v);
	}
}

static void test_counts_beyond_the_limit(void **state)
{
	json_t *list = json_array();
	struct tool_schema *s = schema("{'items':{'type':'string'}}");
	struct tool_violations v = { 0 };
	struct buf why = { 0 };

	(void)state;
	for (int i = 0; i < 50; i++)
		json_array_append_new(list, json_integer(i));
	assert_int_equal(tool_schema_check(s, list, &v, NULL), TOOL_E_INVALID);
	assert_int_equal(v.found, 50);
	assert_int_equal(json_array_size(v.list), TOOL_VIOLATIONS_MAX);
	assert_int_equal(tool_violations_text(&v, &why), 0);
	assert_non_null(strstr(buf_cstr(&why), "/19: must be"));
	assert_non_null(strstr(buf_cstr(&why), "; and 30 more"));
	buf_deinit(&why);
	tool_violations_deinit(&v);
	tool_schema_free(s);
	json_decref(list);
}

/* --- schemas that are wrong ---------------------------------------------- */

static const struct {
	const char *schema, *says;
} refused_cases[] = {
	{ "1", "must be a schema" },
	{ "{'$ref':'#/a'}", "/$ref: is not a keyword that is enforced" },
	{ "{'if':{}}", "/if: is not a keyword" },
	{ "{'properties':{'a':{'minimun':1}}}",
	  "/properties/a/minimun: is not a keyword" },
	{ "{'type':'int'}", "/type: must be null, boolean" },
	{ "{'type':[]}", "/type: must list" },
	{ "{'type':3}", "/type: must be null" },
	{ "{'enum':[]}", "/enum: must have 1 to 256 items" },
	{ "{'enum':1}", "/enum: must be a list, not a number" },
	{ "{'minimum':'1'}", "/minimum: must be a number" },
	{ "{'multipleOf':0}", "/multipleOf: must be more than 0" },
	{ "{'minLength':-1}", "/minLength: must be a whole number" },
	{ "{'maxItems':1.5}", "/maxItems: must be a whole number" },
	{ "{'pattern':'(a'}",
	  "/pattern: the pattern \"(a\" is wrong: missing" },
	{ "{'pattern':'\\\\C'}", "/pattern: the pattern" },
	{ "{'patternProperties':{'[':{}}}",
	  "/patternProperties/[: the pattern" },
	{ "{'format':'date'}", "/format: must be one of email, uri" },
	{ "{'uniqueItems':1}", "/uniqueItems: must be true or false" },
	{ "{'required':'a'}", "/required: must be a list" },
	{ "{'required':[1]}", "/required: must be a list of strings" },
	{ "{'properties':[]}", "/properties: must be an object" },
	{ "{'items':[{}]}", "/items: must be a schema" },
	{ "{'allOf':[]}", "/allOf: must have 1" },
	{ "{'anyOf':[{'type':'x'}]}", "/anyOf/0/type: must be" },
	{ "{'title':1}", "/title: must be a string" },
	{ "{'type':'string','default':1}", "/default: must be a string" },
	{ "{'type':'x','minimum':'y'}", "/minimum: must be a number" },
};

static void test_refuses_schemas(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused_cases); i++) {
		struct tool_violations v = { 0 };
		struct tool_schema *s = NULL;
		struct buf why = { 0 };

		assert_int_equal(compile(refused_cases[i].schema, &v, &s),
				 TOOL_E_INVALID);
		assert_int_equal(tool_violations_text(&v, &why), 0);
		if (!strstr(buf_cstr(&why), refused_cases[i].says))
			fail_msg("\"%s\" is not in \"%s\"",
				 refused_cases[i].says, (char *)why.data);
		buf_deinit(&why);
		tool_violations_deinit(&v);
	}
}

static void test_depth(void **state)
{
	struct tool_violations v = { 0 };
	struct tool_schema *s = NULL;
	struct buf text = { 0 };

	(void)state;
	for (int levels = TOOL_SCHEMA_DEPTH_MAX - 1;
	     levels <= TOOL_SCHEMA_DEPTH_MAX; levels++) {
		for (int i = 0; i < levels; i++)
			assert_int_equal(buf_append_str(&text, "{'items':"), 0);
		assert_int_equal(buf_append_str(&text, "{}"), 0);
		for (int i = 0; i < levels; i++)
			assert_int_equal(buf_append_str(&text, "}"), 0);
		assert_int_equal(compile(buf_cstr(&text), &v, &s),
				 levels < TOOL_SCHEMA_DEPTH_MAX
					 ? 0
					 : TOOL_E_INVALID);
		buf_clear(&text);
	}
	tool_schema_free(s);
	tool_violations_deinit(&v);
	buf_deinit(&text);
}

/* --- defaults ------------------------------------------------------------ */

static const struct {
	const char *schema, *value, *filled;
} default_cases[] = {
	{ "{'properties':{'a':{'default':5},'b':{'default':[1]}}}", "{'a':1}",
	  "{'a':1,'b':[1]}" },
	{ "{'properties':{'a':{'default':{},'properties':{'b':{'default':1}}}}}",
	  "{}", "{'a':{'b':1}}" },
	{ "{'items':{'properties':{'a':{'default':null}}}}", "[{},{'a':1}]",
	  "[{'a':null},{'a':1}]" },
	{ "{'allOf':[{'properties':{'a':{'default':'x'}}}],'required':['a']}",
	  "{}", "{'a':'x'}" },
	{ "{'anyOf':[{'properties':{'a':{'default':'x'}}}]}", "{}", "{}" },
	{ "{'prefixItems':[{'properties':{'a':{'default':1}}}]}", "[{},{}]",
	  "[{'a':1},{}]" },
};

static void test_defaults(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(default_cases); i++) {
		json_t *v = js(default_cases[i].value), *before, *out = NULL;
		json_t *want = js(default_cases[i].filled);
		char *why;

		before = json_deep_copy(v);
		why = check(default_cases[i].schema, v, &out);
		assert_string_equal(why, "");
		assert_true(json_equal(out, want));
		assert_true(json_equal(v, before)); /* is left alone */
		free(why);
		json_decref(v);
		json_decref(before);
		json_decref(out);
		json_decref(want);
	}
}

static void test_default_is_not_shared(void **state)
{
	/* The second schema fills into the first's default: of the copy. */
	struct tool_schema *s = schema(
		"{'properties':{'a':{'default':{}}},'allOf':[{'properties':"
		"{'a':{'properties':{'b':{'default':1}}}}}]}");
	json_t *empty = json_object(), *first = NULL, *second = NULL;
	struct tool_violations v = { 0 };

	(void)state;
	assert_int_equal(tool_schema_check(s, empty, &v, &first), 0);
	json_object_set_new(json_object_get(first, "a"), "c", json_true());
	assert_int_equal(tool_schema_check(s, empty, &v, &second), 0);
	assert_null(json_object_get(json_object_get(second, "a"), "c"));
	json_decref(empty);
	json_decref(first);
	json_decref(second);
	tool_schema_free(s);
}

/* --- time ---------------------------------------------------------------- */

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#define SLOWEST_CHECK_S 5.0 /* without limits it would be years */

static void assert_bounded(const char *source, json_t *value, const char *says)
{
	double before = cpu_s();
	char *why = check(source, value, NULL);

	assert_true(cpu_s() - before < SLOWEST_CHECK_S);
	if (!strstr(why, says))
		fail_msg("\"%s\" is not in \"%s\"", says, why);
	free(why);
	json_decref(value);
}

static json_t *many(size_t n, const char *item)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, js(item));
	return list;
}

static void test_patterns_are_bounded(void **state)
{
	char text[60];
	char *big = calloc(1, 70000);

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_bounded("{'pattern':'^(a+)+$'}", json_sprintf("%s!", text),
		       "too much time");
	assert_bounded("{'pattern':'^(a|aa|a?)*$'}", json_sprintf("%s!", text),
		       "too much time");
	assert_bounded("{'items':{'pattern':'^(a+)+$'}}",
		       many(5000, "'aaaaaaaaaaaaaaaaaaaaaaaaaaaa!'"),
		       "too much time");
	memset(big, 'a', 69999);
	assert_bounded("{'pattern':'b'}", json_string(big), "too long");
	big[60000] = '\0';
	assert_bounded("{'pattern':'.*.*.*.*[xy]'}", json_string(big),
		       "too much time");
	free(big);
}

static void test_checks_are_bounded(void **state)
{
	(void)state;
	assert_bounded("{'items':{'allOf':[{},{},{},{},{},{},{},{},{},{}]}}",
		       many(200000, "1"), "too much to check");
	assert_bounded("{'uniqueItems':true}", many(2000, "1"),
		       "at most 1024 items, not 2000");
	assert_bounded("{'items':{'properties':{'a':{'default':{}}}}}",
		       many(100000, "{}"), "too much to check");
}

/* --- what a value can have ----------------------------------------------- */

static void assert_has(const char *source, char *const *names, size_t n,
		       bool want)
{
	struct tool_schema *s = schema(source);

	if (tool_schema_has(s, names, n) != want)
		fail_msg("%s: %s", source, names[0]);
	tool_schema_free(s);
}

static void test_has(void **state)
{
	char name_a[] = "a", name_b[] = "b", name_c[] = "c", index[] = "0";
	char *a[] = { name_a }, *a_b[] = { name_a, name_b };
	char *a_0[] = { name_a, index }, *c[] = { name_c };

	(void)state;
	assert_has("{}", a_b, 2, true);
	assert_has("{'properties':{'a':{}}}", a, 1, true);
	assert_has("{'properties':{'a':{}}}", a_b, 2, true);
	assert_has("{'properties':{'a':{}}}", c, 1, false);
	assert_has("{'properties':{'a':{}},'additionalProperties':true}", c, 1,
		   true);
	assert_has("{'properties':{},'additionalProperties':false}", a, 1,
		   false);
	assert_has("{'properties':{'a':{'type':'string'}}}", a_b, 2, false);
	assert_has("{'properties':{'a':{'items':{'type':'string'}}}}", a_0, 2,
		   true);
	assert_has("{'properties':{'a':{'prefixItems':[false]}}}", a_0, 2,
		   false);
	assert_has("{'properties':{'c':{}},'anyOf':[{'properties':{'a':{}}}]}",
		   a, 1, true);
	assert_has("{'properties':{'a':{}},'allOf':[{'properties':{'c':{}}}]}",
		   a_b, 2, true);
	assert_has("{'patternProperties':{'^x':{}},"
		   "'additionalProperties':false}",
		   a, 1, true);
	assert_has("{'additionalProperties':false}", a, 1, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keywords),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_counts_beyond_the_limit),
		cmocka_unit_test(test_refuses_schemas),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_default_is_not_shared),
		cmocka_unit_test(test_patterns_are_bounded),
		cmocka_unit_test(test_checks_are_bounded),
		cmocka_unit_test(test_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
