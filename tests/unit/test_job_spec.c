#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/job_spec.h"
#include "common/json.h"
#include "common/var_key.h"

static json_t *spec_ok(const char *text)
{
	_cleanup_json_ json_t *in = json_loads(text, 0, NULL);
	struct buf why = { 0 };
	json_t *out = NULL;

	assert_non_null(in);
	assert_int_equal(job_spec_parse(in, &out, &why), 0);
	assert_int_equal(why.len, 0);
	buf_deinit(&why);
	return out;
}

/* Each of the words must be in what is said about the specification. */
static void spec_bad(const char *text, const char *const *words)
{
	_cleanup_json_ json_t *in = json_loads(text, 0, NULL);
	struct buf why = { 0 };
	json_t *out = NULL;

	assert_non_null(in);
	assert_int_equal(job_spec_parse(in, &out, &why), JOB_SPEC_E_INVALID);
	assert_null(out);
	for (; *words; words++)
		if (!strstr(buf_cstr(&why), *words))
			fail_msg("\"%s\" is not in: %s", *words,
				 buf_cstr(&why));
	buf_deinit(&why);
}
#define SPEC_BAD(text, ...) \
	spec_bad(text, (const char *const[]){ __VA_ARGS__, NULL })

static void test_defaults(void **state)
{
	_cleanup_json_ json_t *s = spec_ok("{\"runtime\":\"python\"}");

	assert_string_equal(json_get_str(s, "name", ""), "script.py");
	assert_string_equal(json_get_str(s, "script_name", ""), "script.py");
	assert_string_equal(json_get_str(s, "executor", ""), "auto");
	assert_string_equal(json_get_str(s, "network", ""), "none");
	assert_int_equal(json_get_int(s, "timeout_ms", -1), 0);
	assert_int_equal(json_get_int(s, "memory_mb", -1), 512);
	assert_int_equal(json_get_int(s, "pids", -1), 256);
	assert_true(json_real_value(json_object_get(s, "cpus")) == 1.0);
	assert_true(json_is_null(json_object_get(s, "image")));
	assert_int_equal(json_array_size(json_object_get(s, "vars_read")), 1);
	assert_int_equal(json_object_size(s), 21);
	assert_string_equal(json_get_str(s, "input_stream", ""), "open");
	assert_true(json_is_null(json_object_get(s, "input_from")));
}

static void test_names_follow(void **state)
{
	_cleanup_json_ json_t *a = spec_ok("{\"name\":\"hello.mjs\"}");
	_cleanup_json_ json_t *b = spec_ok(
		"{\"name\":\"a/b report\",\"runtime\":\"bash\"}");
	_cleanup_json_ json_t *c = spec_ok(
		"{\"name\":\"x\",\"script_name\":\"y.sh\"}");
	_cleanup_json_ json_t *d = spec_ok("{\"name\":\"types.ts\"}");
	_cleanup_json_ json_t *e = spec_ok(
		"{\"name\":\"a/b\",\"runtime\":\"bun\"}");

	assert_string_equal(json_get_str(a, "runtime", ""), "node");
	assert_string_equal(json_get_str(a, "script_name", ""), "hello.mjs");
	assert_string_equal(json_get_str(b, "name", ""), "a/b report");
	assert_string_equal(json_get_str(b, "script_name", ""), "script.sh");
	assert_string_equal(json_get_str(d, "runtime", ""), "bun");
	assert_string_equal(json_get_str(e, "script_name", ""), "script.ts");
	assert_string_equal(json_get_str(c, "runtime", ""), "bash");
	assert_string_equal(json_get_str(c, "name", ""), "x");
}

static void test_all_violations_at_once(void **state)
{
	SPEC_BAD(
		"{\"runtime\":\"ruby\",\"timeout_ms\":-1,\"memory\":1,"
		"\"pids\":1.5,\"labels\":[],\"read_only\":\"yes\"}",
		"runtime: must be one of python, node, bash, bun, not \"ruby\"",
		"timeout_ms: must be 0 to ", "memory: is not a known member",
		"pids: must be a whole number", "labels: must be an object",
		"read_only: must be true or false, not a string");
	SPEC_BAD("{}", "runtime: is needed");
	SPEC_BAD("{\"runtime\":\"bash\",\"a\":1,\"b\":1,\"c\":1,\"d\":1,"
		 "\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,\"k\":1,"
		 "\"l\":1,\"m\":1,\"n\":1,\"o\":1,\"p\":1,\"q\":1,\"r\":1,"
		 "\"s\":1,\"t\":1,\"u\":1,\"v\":1}",
		 "; and 2 more");
}

static void test_script_names(void **state)
{
	assert_true(job_spec_script_name_valid("hello.py"));
	assert_true(job_spec_script_name_valid("d\xc3\xa9j\xc3\xa0 vu.py"));
	assert_false(job_spec_script_name_valid(""));
	assert_false(job_spec_script_name_valid("."));
	assert_false(job_spec_script_name_valid(".."));
	assert_false(job_spec_script_name_valid("a/b.py"));
	assert_false(job_spec_script_name_valid("a\\b.py"));
	assert_false(job_spec_script_name_valid("-c"));
	assert_false(job_spec_script_name_valid("a\nb"));
	SPEC_BAD("{\"runtime\":\"bash\",\"script_name\":\"../x\"}",
		 "script_name: must be a file name");
}

static void test_env(void **state)
{
	json_decref(spec_ok("{\"runtime\":\"bash\",\"env\":{\"A_1\":\"x\"}}"));
	SPEC_BAD("{\"runtime\":\"bash\",\"env\":{\"1A\":\"x\",\"B=\":\"\","
		 "\"CRONIUM_JOB_ID\":\"x\",\"C\":1}}",
		 "\"1A\" is not a name", "\"B=\" is not a name",
		 "\"CRONIUM_JOB_ID\": names with CRONIUM_ are reserved",
		 "\"C\" must be a string, not a number");
}

static void test_docker_only(void **state)
{
	_cleanup_json_ json_t *a = spec_ok(
		"{\"runtime\":\"bash\",\"image\":\"alpine:3\"}");
	_cleanup_json_ json_t *b = spec_ok(
		"{\"runtime\":\"bash\",\"network\":\"egress\"}");

	assert_string_equal(json_get_str(a, "executor", ""), "docker");
	assert_string_equal(json_get_str(b, "executor", ""), "docker");
	SPEC_BAD("{\"runtime\":\"bash\",\"executor\":\"sandbox\","
		 "\"network\":\"egress\"}",
		 "network: is not possible in a sandbox");
	SPEC_BAD("{\"runtime\":\"bash\",\"image\":\"--privileged\"}",
		 "image: must be null or");
	SPEC_BAD("{\"runtime\":\"bash\",\"image\":\"a/../../containers/b\"}",
		 "image: must be null or");
	SPEC_BAD("{\"runtime\":\"bash\",\"labels\":{\"a\":\"\\u001b[2J\"}}",
		 "without control characters");
}

static void test_var_keys(void **state)
{
	char key[VAR_KEY_MAX_BYTES + 2];

	memset(key, 'k', sizeof(key));
	key[VAR_KEY_MAX_BYTES + 1] = '\0';
	assert_false(var_key_valid(key));
	key[VAR_KEY_MAX_BYTES] = '\0';
	assert_true(var_key_valid(key));
	assert_true(var_key_valid("team/app:API_KEY-2.x"));
	assert_false(var_key_valid(""));
	assert_false(var_key_valid("a b"));
	assert_false(var_key_valid("a*"));
	assert_true(var_pattern_valid("team/*"));
	SPEC_BAD("{\"runtime\":\"bash\",\"vars_read\":[\"a b\",1]}",
		 "vars_read: item 0 must be", "vars_read: item 1 must be");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_names_follow),
		cmocka_unit_test(test_all_violations_at_once),
		cmocka_unit_test(test_script_names),
		cmocka_unit_test(test_env),
		cmocka_unit_test(test_docker_only),
		cmocka_unit_test(test_var_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
