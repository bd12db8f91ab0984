#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/json.h"
#include "js.h"
#include "orchestrator/assignment.h"
#include "orchestrator/executor.h"
#include "orchestrator/runtime.h"

#define HEAD                                                      \
	"\"execution\":\"ex_1\",\"job\":\"job_1\",\"epoch\":3,"   \
	"\"lease_ms\":9000,\"script_bytes\":4,\"input_bytes\":2," \
	"\"runtime_token\":\"RT\",\"backend_token\":\"BT\","      \
	"\"issuer\":\"cronium\",\"public_key\":\"PEM\","          \
	"\"context\":{\"attempt\":1}"

static const char good[] =
	"{" HEAD ",\"spec\":{\"name\":\"dir/hello.py\",\"runtime\":\"python\","
	"\"args\":[\"--x\"],\"env\":{\"K\":\"V\"},\"executor\":\"sandbox\","
	"\"network\":\"egress\",\"timeout_ms\":5000,\"memory_mb\":64,"
	"\"cpus\":0.25,\"pids\":32,\"image\":null}}";

static int parse(struct assignment **a, const char *json, char err[256])
{
	return assignment_new(a, json, strlen(json), err, 256);
}

static struct assignment *parse_good(void)
{
	struct assignment *a;
	char err[256];

	assert_int_equal(parse(&a, good, err), 0);
	assert_int_equal(buf_append_str(&a->script, "pass"), 0);
	assert_int_equal(buf_append_str(&a->input, "{}"), 0);
	return a;
}

static void test_parse(void **state)
{
	struct executor_spec spec;
	struct assignment *a = parse_good();

	assert_string_equal(a->execution, "ex_1");
	assert_int_equal(a->epoch, 3);
	assert_int_equal(a->lease_ms, 9000);
	assert_string_equal(a->name, "hello.py");
	assert_string_equal(a->executor, "sandbox");
	assert_int_equal(a->timeout_ms, 5000);
	assignment_executor_spec(a, "pod_1", &spec);
	assert_string_equal(spec.pod, "pod_1");
	assert_string_equal(spec.runtime, "python");
	assert_null(spec.image);
	assert_true(spec.egress);
	assert_int_equal(spec.memory_bytes, 64 << 20);
	assert_int_equal(spec.cpu_milli, 250);
	assert_int_equal(spec.pids, 32);
	assignment_free(a);
}

static void test_defaults(void **state)
{
	struct assignment *a;
	char err[256];

	assert_int_equal(parse(&a, "{" HEAD ",\"spec\":{\"runtime\":\"node\"}}",
			       err),
			 0);
	assert_string_equal(a->name, "script");
	assert_string_equal(a->executor, "auto");
	assert_false(a->egress);
	assert_int_equal(a->timeout_ms, 0);
	assert_int_equal(a->memory_mb, 2048);
	assert_int_equal(a->cpu_milli, 1000);
	assert_int_equal(a->pids, 256);
	assignment_free(a);
}

static void test_names_stay_in_the_work_dir(void **state)
{
	static const char *const names[] = { "..", "a/..", ".", "x/", "", "/" };
	struct assignment *a;
	char json[1024], err[256];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(json, sizeof(json),
			 "{" HEAD ",\"spec\":{\"runtime\":\"bash\","
			 "\"name\":\"%s\"}}",
			 names[i]);
		assert_int_equal(parse(&a, json, err), 0);
		assert_string_equal(a->name, "script");
		assignment_free(a);
	}
}

/* Refused, but known well enough to be reported. */
static void test_refused_with_identity(void **state)
{
	static const char *const bad[] = {
		"{" HEAD ",\"spec\":{\"runtime\":\"perl\"}}",
		"{" HEAD "}",
		"{\"execution\":\"ex_1\",\"epoch\":1}",
	};
	struct assignment *a;
	char err[256];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_true(parse(&a, bad[i], err) < 0);
		assert_non_null(a);
		assert_string_equal(a->execution, "ex_1");
		assignment_free(a);
	}
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"execution\":\"ex_1\"}",
		"{\"epoch\":1}",
		"{\"execution\":\"ex_1\",\"epoch\":-1}",
		"{\"execution\":7,\"epoch\":1}",
		"{\"runtime_token\":\"SECRET\" x",
	};
	struct assignment *a;
	char err[256];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_true(parse(&a, bad[i], err) < 0);
		assert_null(a);
		assert_null(strstr(err, "SECRET"));
	}
}

static json_t *load(struct buf *b)
{
	char err[256];
	json_t *o = json_parse_object(b->data, b->len, err, sizeof(err));

	buf_deinit(b);
	assert_non_null(o);
	return o;
}

static void test_for_sidecar(void **state)
{
	struct assignment *a = parse_good();
	struct buf out = { 0 };
	json_t *o;

	assert_int_equal(assignment_for_sidecar(a, "docker", &out), 0);
	/* The script's own token is not the sidecar's business. */
	assert_null(memmem(out.data, out.len, "\"RT\"", 4));
	o = load(&out);
	assert_string_equal(json_get_str(o, "backend_token", ""), "BT");
	assert_string_equal(json_get_str(o, "public_key", ""), "PEM");
	assert_int_equal(json_get_int(o, "input_bytes", 0), 2);
	assert_string_equal(json_get_str(json_object_get(o, "context"),
					 "executor", ""),
			    "docker");
	assert_int_equal(
		json_get_int(json_object_get(o, "context"), "attempt", 0), 1);
	assert_int_equal(json_get_int(json_object_get(o, "limits"),
				      "cache_ttl_ms", 0),
			 300000);
	json_decref(o);
	assignment_free(a);
}

static void test_for_runner(void **state)
{
	const struct executor_place place = {
		.work_dir = "/work",
		.uid = -1,
		.gid = -1,
		.runtime_api = "http://localhost:8081",
		.mode = "sandbox",
	};
	struct assignment *a = parse_good();
	struct buf out = { 0 };
	json_t *o;

	assert_int_equal(assignment_for_runner(a, &place, &out), 0);
	/* The script must never see the sidecar's token. */
	assert_null(memmem(out.data, out.len, "\"BT\"", 4));
	o = load(&out);
	assert_string_equal(json_get_str(o, "script_name", ""), "hello.py");
	assert_int_equal(json_get_int(o, "script_bytes", 0), 4);
	assert_int_equal(json_get_int(o, "uid", 0), -1);
	assert_int_equal(json_array_size(json_object_get(o, "argv")), 4);
	assert_int_equal(json_get_int(o, "max_stderr_bytes", 0), 1 << 20);
	assert_int_equal(json_get_int(o, "file_mode", 0), 0600);
	assert_false(
		json_get_bool(json_object_get(o, "permissions"), "run", true));
	assert_string_equal(json_get_str(json_object_get(o, "env"), "K", ""),
			    "V");
	json_decref(o);
	assignment_free(a);
}

static void test_runtime_block(void **state)
{
	static const char text[] =
		"{" HEAD ",\"spec\":{\"name\":\"p.tar.gz\",\"payload\":true,"
		"\"script_name\":\"src/x.mjs\",\"memory_mb\":4096,"
		"\"runtime\":{\"type\":\"node\",\"node_options\":"
		"[\"--max-old-space-size=4000\"],\"permissions\":{\"net\":"
		"[\"a.test\"],\"run\":true},\"max_stderr_capture\":5,"
		"\"worker_file_perm\":\"0640\"}}}";
	const struct executor_place place = {
		.work_dir = "/work",
		.runtime_api = "http://localhost:8081",
		.mode = "sandbox",
	};
	_cleanup_json_ json_t *permissions = js(
		"{'net':['a.test'],'read':false,'write':false,'env':false,"
		"'run':true}");
	_cleanup_json_ json_t *argv = js(
		"['node','--max-old-space-size=4000','src/x.mjs']");
	struct assignment *a;
	struct buf out = { 0 };
	char err[256];
	json_t *o;

	assert_int_equal(parse(&a, text, err), 0);
	assert_int_equal(assignment_for_runner(a, &place, &out), 0);
	o = load(&out);
	assert_string_equal(json_get_str(o, "script_name", ""), "src/x.mjs");
	assert_string_equal(json_get_str(o, "runtime", ""), "node");
	assert_int_equal(json_get_int(o, "max_stderr_bytes", 0), 5);
	assert_int_equal(json_get_int(o, "file_mode", 0), 0640);
	assert_true(json_equal(json_object_get(o, "permissions"), permissions));
	assert_true(json_equal(json_object_get(o, "argv"), argv));
	json_decref(o);
	assignment_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_names_stay_in_the_work_dir),
		cmocka_unit_test(test_refused_with_identity),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_for_sidecar),
		cmocka_unit_test(test_for_runner),
		cmocka_unit_test(test_runtime_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
