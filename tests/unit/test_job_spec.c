#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/job_spec.h"
#include "common/json.h"
#include "common/var_key.h"
#include "js.h"

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

/* The same with ' for ". */
static json_t *js_ok(const char *text)
{
	_cleanup_json_ json_t *in = js(text);
	_cleanup_free_ char *plain = json_dumps(in, 0);

	return spec_ok(plain);
}

static void js_bad(const char *text, const char *const *words)
{
	_cleanup_json_ json_t *in = js(text);
	_cleanup_free_ char *plain = json_dumps(in, 0);

	spec_bad(plain, words);
}
#define JS_BAD(text, ...) \
	js_bad(text, (const char *const[]){ __VA_ARGS__, NULL })

static void test_defaults(void **state)
{
	_cleanup_json_ json_t *s = spec_ok("{\"runtime\":\"python\"}");

	assert_string_equal(json_get_str(s, "name", ""), "script.py");
	assert_string_equal(json_get_str(s, "script_name", ""), "script.py");
	assert_string_equal(json_get_str(s, "executor", ""), "auto");
	assert_string_equal(json_get_str(s, "network", ""), "none");
	assert_int_equal(json_get_int(s, "timeout_ms", -1), 0);
	assert_int_equal(json_get_int(s, "memory_mb", -1), 2048);
	assert_int_equal(json_get_int(s, "pids", -1), 256);
	assert_true(json_real_value(json_object_get(s, "cpus")) == 1.0);
	assert_true(json_is_null(json_object_get(s, "image")));
	assert_int_equal(json_array_size(json_object_get(s, "vars_read")), 1);
	assert_int_equal(json_object_size(s), 29);
	assert_string_equal(json_get_str(s, "input_stream", ""), "open");
	assert_true(json_is_null(json_object_get(s, "input_from")));
	assert_true(json_is_null(json_object_get(s, "session")));
	assert_true(json_is_false(json_object_get(s, "no_wait")));
}

static void test_sessions(void **state)
{
	_cleanup_json_ json_t *s = js_ok(
		"{'runtime':'bash','session':'night','no_wait':true}");

	assert_string_equal(json_get_str(s, "session", ""), "night");
	assert_true(json_is_true(json_object_get(s, "no_wait")));
	JS_BAD("{'runtime':'bash','session':'a b','no_wait':1}",
	       "session: must be null, a session's id, or its name: 1 to 64",
	       "no_wait: must be true or false");
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

	assert_string_equal(job_spec_runtime(a), "node");
	assert_string_equal(json_get_str(a, "script_name", ""), "hello.mjs");
	assert_string_equal(json_get_str(b, "name", ""), "a/b report");
	assert_string_equal(json_get_str(b, "script_name", ""), "script.sh");
	assert_string_equal(job_spec_runtime(d), "bun");
	assert_string_equal(json_get_str(e, "script_name", ""), "script.ts");
	assert_string_equal(job_spec_runtime(c), "bash");
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
	SPEC_BAD("{\"runtime\":\"bash\",\"env\":{\"LD_PRELOAD\":\"x\","
		 "\"BASH_ENV\":\"x\"}}",
		 "env: \"LD_PRELOAD\" would change what is loaded or run",
		 "env: \"BASH_ENV\" would change");
}

static void test_runtime_block(void **state)
{
	_cleanup_json_ json_t *alone = js_ok("{'runtime':' NODE '}");
	_cleanup_json_ json_t *block = js_ok(
		"{'name':'x.mjs','runtime':{'max_memory_mb':64,"
		"'timeout':'2s','permissions':{'net':['A.test']},"
		"'node_options':['--max-old-space-size=64'],'retries':2}}");
	_cleanup_json_ json_t *again = NULL;
	const json_t *runtime = json_object_get(block, "runtime");
	struct buf why = { 0 };

	assert_string_equal(job_spec_runtime(alone), "node");
	assert_string_equal(json_get_str(alone, "script_name", ""),
			    "script.js");
	assert_string_equal(job_spec_runtime(block), "node");
	assert_int_equal(json_get_int(block, "memory_mb", 0), 64);
	assert_int_equal(json_get_int(block, "timeout_ms", 0), 2000);
	assert_null(json_object_get(runtime, "max_memory_mb"));
	assert_null(json_object_get(runtime, "timeout"));
	assert_int_equal(json_get_int(runtime, "retries", 0), 2);
	assert_int_equal(json_object_size(runtime), 10);
	assert_int_equal(job_spec_parse(block, &again, &why), 0);
	assert_true(json_equal(block, again));
}

static void test_runtime_refused(void **state)
{
	JS_BAD("{'memory_mb':128,'timeout_ms':1000,'executor':'docker',"
	       "'host':'a b','runtime':{'type':'bash','max_memory_mb':64,"
	       "'timeout':'2s','retries':-1,'colour':1,'entrypoint':'y'},"
	       "'script_name':'x.sh','env':{'IFS':'x'},'pids':1}",
	       "runtime.retries: must be 0 to 100, not -1",
	       "runtime.colour: is not a known member", "env: \"IFS\"",
	       "pids: must be 8 to", "host: must be null or a host's name");
	JS_BAD("{'memory_mb':128,'timeout_ms':1000,"
	       "'runtime':{'type':'bash','max_memory_mb':64,"
	       "'timeout':'2s','entrypoint':'y'},'script_name':'x.sh'}",
	       "runtime.max_memory_mb: 64 is not what memory_mb says, 128",
	       "runtime.timeout: 2000 is not what timeout_ms says, 1000",
	       "runtime.entrypoint: \"y\" is not the file to run, \"x.sh\"");
	JS_BAD("{'memory_mb':128,'runtime':{'type':'node',"
	       "'node_options':['--max-old-space-size=129']}}",
	       "is above max_memory_mb");
	JS_BAD("{'runtime':{}}", "runtime.type: is needed");
	JS_BAD("{'runtime':7}", "runtime: must be a type's name or an object");
	/* The same said twice is said once. */
	json_decref(js_ok("{'memory_mb':64,'timeout_ms':0,'runtime':{"
			  "'type':'bash','max_memory_mb':64,'timeout':null}}"));
}

static void test_payload(void **state)
{
	_cleanup_json_ json_t *a = js_ok(
		"{'payload':true,'name':'p.tar.gz','runtime':{'type':'bun',"
		"'entrypoint':'src/main.ts'}}");
	_cleanup_json_ json_t *b = js_ok(
		"{'payload':true,'script_name':'src/main.py'}");

	assert_string_equal(json_get_str(a, "name", ""), "p.tar.gz");
	assert_string_equal(json_get_str(a, "script_name", ""), "src/main.ts");
	assert_string_equal(json_get_str(b, "name", ""), "src/main.py");
	assert_string_equal(job_spec_runtime(b), "python");
	JS_BAD("{'payload':true,'name':'p.py','runtime':'python'}",
	       "script_name: is needed");
	JS_BAD("{'payload':true,'script_name':'a/../b.py'}",
	       "script_name: must be a relative path");
	JS_BAD("{'payload':true,'script_name':'/b.py'}",
	       "script_name: must be a relative path");
	JS_BAD("{'payload':1,'script_name':'a/b.py'}",
	       "payload: must be true or false", "script_name: must be a file");
}

static void test_hosts(void **state)
{
	_cleanup_json_ json_t *a = js_ok("{'runtime':'bash','host':'web-1'}");

	assert_string_equal(json_get_str(a, "executor", ""), "ssh");
	JS_BAD("{'runtime':'bash','executor':'ssh'}", "host: is needed");
	JS_BAD("{'runtime':'bash','executor':'sandbox','host':'a'}",
	       "host: needs \"executor\":\"ssh\"");
	JS_BAD("{'runtime':'bash','host':'a','image':'alpine'}",
	       "image: is not possible on a host");
	JS_BAD("{'runtime':'bash','host':'a','network':'egress'}",
	       "network: is not possible on a host");
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
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_names_follow),
		cmocka_unit_test(test_all_violations_at_once),
		cmocka_unit_test(test_script_names),
		cmocka_unit_test(test_env),
		cmocka_unit_test(test_runtime_block),
		cmocka_unit_test(test_runtime_refused),
		cmocka_unit_test(test_payload),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_docker_only),
		cmocka_unit_test(test_var_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
