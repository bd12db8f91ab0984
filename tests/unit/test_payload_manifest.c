#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/json.h"
#include "payload/manifest.h"

#define NEEDED "version: v1\ninterpreter: python\nentrypoint: main.py\n"

static void assert_reads(const char *yaml, const char *want)
{
	struct buf got = { 0 }, why = { 0 };
	json_t *m = NULL;
	int r = manifest_parse(yaml, strlen(yaml), &m, &why);

	if (r)
		fail_msg("%s: %s", yaml, buf_cstr(&why));
	assert_int_equal(json_append(&got, m), 0);
	assert_string_equal(buf_cstr(&got), want);
	json_decref(m);
	buf_deinit(&got);
	buf_deinit(&why);
}

/* want: "; " between the violations, as they are said. */
static void assert_refused(const char *yaml, const char *want)
{
	struct buf why = { 0 };
	json_t *m = NULL;
	int r = manifest_parse(yaml, strlen(yaml), &m, &why);

	assert_int_equal(r, MANIFEST_E_INVALID);
	assert_null(m);
	if (!strstr(buf_cstr(&why), want))
		fail_msg("%s: \"%s\" does not say \"%s\"", yaml, buf_cstr(&why),
			 want);
	buf_deinit(&why);
}

static void test_the_least(void **state)
{
	(void)state;
	assert_reads(NEEDED, "{\"version\":\"v1\",\"interpreter\":\"python\","
			     "\"entrypoint\":\"main.py\",\"env\":{},"
			     "\"runtime\":{},\"metadata\":{}}");
	assert_reads(NEEDED "environment:\nruntime: ~\nmetadata: null\n",
		     "{\"version\":\"v1\",\"interpreter\":\"python\","
		     "\"entrypoint\":\"main.py\",\"env\":{},"
		     "\"runtime\":{},\"metadata\":{}}");
}

static void test_all_of_it(void **state)
{
	(void)state;
	assert_reads("version: v1\n"
		     "interpreter: ' Node '\n"
		     "entrypoint: src/index.js\n"
		     "environment: {A: b, TZ: \"\"}\n"
		     "runtime:\n"
		     "  environment: staging\n"
		     "  permissions: {net: [a.example.com], run: true}\n"
		     "  node_options: [--no-warnings]\n"
		     "  timeout: 30s\n"
		     "metadata: {jobId: j, eventId: e, eventVersion: '1',\n"
		     "  createdAt: 2024-01-01}\n",
		     "{\"version\":\"v1\",\"interpreter\":\"node\","
		     "\"entrypoint\":\"src/index.js\","
		     "\"env\":{\"A\":\"b\",\"TZ\":\"\"},"
		     "\"runtime\":{\"environment\":\"staging\","
		     "\"permissions\":{\"net\":[\"a.example.com\"],"
		     "\"run\":true},"
		     "\"node_options\":[\"--no-warnings\"],"
		     "\"timeout\":\"30s\"},"
		     "\"metadata\":{\"jobId\":\"j\",\"eventId\":\"e\","
		     "\"eventVersion\":\"1\",\"createdAt\":\"2024-01-01\"}}");
}

static void test_environment_is_a_name_or_variables(void **state)
{
	(void)state;
	assert_reads(NEEDED "environment: development\n",
		     "{\"version\":\"v1\",\"interpreter\":\"python\","
		     "\"entrypoint\":\"main.py\",\"env\":{},"
		     "\"runtime\":{\"environment\":\"development\"},"
		     "\"metadata\":{}}");
	assert_refused(NEEDED "environment: prod\n",
		       "environment: must be a mapping of variables, or one "
		       "of development, staging, production");
	assert_refused(NEEDED "environment: [a]\n", "environment: must be");
	assert_refused(NEEDED "environment: staging\n"
			      "runtime: {environment: staging}\n",
		       "environment: is a name here and in runtime");
}

static void test_variables(void **state)
{
	static const char *const refused[] = {
		"LD_PRELOAD",
		"NODE_OPTIONS",
		"BASH_ENV",
		"PYTHONHOME",
		"CRONIUM_EXECUTION_TOKEN",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		char yaml[256], want[128];

		snprintf(yaml, sizeof(yaml), NEEDED "environment: {%s: x}\n",
			 refused[i]);
		snprintf(want, sizeof(want),
			 "environment: %s cannot be set: it changes",
			 refused[i]);
		assert_refused(yaml, want);
	}
	assert_refused(NEEDED "environment: {A=B: x}\n",
		       "\"A=B\" is not the name of a variable");
	assert_refused(NEEDED "environment: {1A: x}\n", "\"1A\" is not");
	assert_refused(NEEDED "environment: {'': x}\n", "\"\" is not");
	assert_refused(NEEDED "environment: {PORT: 8080}\n",
		       "environment: PORT must be a string, not");
}

static void test_everything_at_once(void **state)
{
	(void)state;
	assert_refused(
		"version: v2\ninterpreter: perl\nentrypoint: ../x\nwhat: 1\n"
		"environment: {LD_PRELOAD: x}\n"
		"runtime: {type: bash, entrypoint: x, retries: -1, such: 2}\n"
		"metadata: {jobId: 1, other: x}\n",
		"what: is not a known member; version: must be v1; "
		"interpreter: \"perl\" is none of bash, python, node, bun; "
		"entrypoint: \"../x\" is not the path of a file in the "
		"payload; environment: LD_PRELOAD cannot be set: it changes "
		"what is loaded or run; runtime: type does not belong here, "
		"but beside it, as interpreter; runtime: entrypoint does not "
		"belong here, but beside it, as entrypoint; metadata: jobId "
		"must be a string, not a number: quote it; metadata: "
		"\"other\" is not a known member; runtime.");
	assert_refused("{}", "version: is missing; interpreter: is missing; "
			     "entrypoint: is missing");
}

static void test_the_block_is_checked(void **state)
{
	(void)state;
	assert_refused(NEEDED "runtime: {such: 1}\n",
		       "runtime.such: is not a known member");
	assert_refused(NEEDED "runtime: {permissions: {net: 3}}\n",
		       "runtime.permissions.net:");
	assert_refused(NEEDED "runtime: {environment: test}\n",
		       "runtime.environment:");
	assert_refused(NEEDED "runtime: {node_options: [--no-warnings]}\n",
		       "runtime.node_options");
	assert_refused(NEEDED "runtime: python\n",
		       "runtime: must be a mapping, not");
	assert_refused(NEEDED "metadata: [x]\n",
		       "metadata: must be a mapping, not");
}

static void test_what_is_no_manifest(void **state)
{
	static char big[MANIFEST_MAX_BYTES + 1];
	struct buf why = { 0 };
	json_t *m = NULL;

	(void)state;
	assert_refused("", "manifest.yaml: it must be a mapping, not null");
	assert_refused("[a]", "it must be a mapping, not");
	assert_refused("a: 1\na: 2\n", "manifest.yaml: line 2, column 1: ");
	assert_refused("a: &x 1\n", "anchors are not accepted");
	assert_refused(NEEDED "---\n", "one document is expected");
	assert_refused("{", "manifest.yaml: line 2, column 1: ");
	memset(big, '#', sizeof(big));
	assert_int_equal(manifest_parse(big, sizeof(big), &m, &why),
			 MANIFEST_E_INVALID);
	assert_non_null(strstr(buf_cstr(&why), "more than 65536 bytes"));
	buf_deinit(&why);
}

static void test_entrypoints(void **state)
{
	static const char *const refused[] = { "''",  "/x",   "a/../b",
					       "./x", "a//b", "a/",
					       "3",   "[]",   "'-x'" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		char yaml[128];

		snprintf(yaml, sizeof(yaml),
			 "version: v1\ninterpreter: bash\nentrypoint: %s\n",
			 refused[i]);
		assert_refused(yaml, "entrypoint: ");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_least),
		cmocka_unit_test(test_all_of_it),
		cmocka_unit_test(test_environment_is_a_name_or_variables),
		cmocka_unit_test(test_variables),
		cmocka_unit_test(test_everything_at_once),
		cmocka_unit_test(test_the_block_is_checked),
		cmocka_unit_test(test_what_is_no_manifest),
		cmocka_unit_test(test_entrypoints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
