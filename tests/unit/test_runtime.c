#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/json.h"
#include "common/runtime_command.h"
#include "common/trace.h"
#include "orchestrator/executor.h"
#include "orchestrator/runtime.h"

static const struct runtime_identity who = {
	.execution = "ex_1",
	.job = "job_1",
	.token = "tok",
};

/* What runtime_config_get() gives for nothing but a type. */
static const struct runtime_config_options plain = {
	.environment = "production",
	.max_memory_mb = RUNTIME_MEMORY_MB,
};

static const struct executor_place bare = {
	.work_dir = "/work",
	.runtime_api = "http://localhost:8081",
	.mode = "container",
};

static const struct executor_place with_sdk = {
	.work_dir = "/work",
	.runtime_api = "http://localhost:8081",
	.mode = "sandbox",
	.sdk_dir = "/opt/cronium/sdk",
	.bin_dir = "/opt/bin",
};

static void test_argv(void **state)
{
	static const char *const expected[][4] = {
		{ "python", "python3", "-u", "s" },
		{ "node", "node", "--max-old-space-size=1536", "s" },
		{ "bash", "bash", "s", "--x" },
		{ "bun", "bun", "run", "s" },
	};
	_cleanup_json_ json_t *args = json_pack("[s,s]", "--x", "a b");

	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		const struct runtime *rt = runtime_find(expected[i][0]);
		_cleanup_json_ json_t *argv = runtime_argv(rt, &plain, "s",
							   args);

		for (size_t k = 0; k < 3; k++)
			assert_string_equal(json_string_value(
						    json_array_get(argv, k)),
					    expected[i][k + 1]);
		assert_string_equal(json_string_value(json_array_get(
					    argv, json_array_size(argv) - 1)),
				    "a b");
	}
}

static void test_argv_without_args(void **state)
{
	_cleanup_json_ json_t *argv = runtime_argv(runtime_find("bash"), &plain,
						   "s.sh", NULL);

	assert_int_equal(json_array_size(argv), 2);
}

static void assert_argv(const char *runtime,
			const struct runtime_config_options *o,
			const char *expected)
{
	_cleanup_json_ json_t *argv = runtime_argv(runtime_find(runtime), o,
						   "s", NULL);
	_cleanup_free_ char *text = json_dumps(argv, JSON_COMPACT);

	assert_string_equal(text, expected);
}

static void test_argv_options(void **state)
{
	struct runtime_config_options o = {
		.max_memory_mb = 64,
		.node_options = (const char *const[]){ "--expose-gc", NULL },
	};

	assert_argv("node", &o,
		    "[\"node\",\"--expose-gc\",\"--max-old-space-size=48\","
		    "\"s\"]");
	o.node_options = (const char *const[]){ "--max_old_space_size=9",
						NULL };
	assert_argv("node", &o, "[\"node\",\"--max_old_space_size=9\",\"s\"]");
	assert_argv("bun", &o, "[\"bun\",\"run\",\"--smol\",\"s\"]");
	o.max_memory_mb = RUNTIME_SMALL_MEMORY_MB + 1;
	assert_argv("bun", &o, "[\"bun\",\"run\",\"s\"]");
	assert_argv("bash", &o, "[\"bash\",\"s\"]");
}

static void test_unknown(void **state)
{
	assert_null(runtime_find("perl"));
	assert_null(runtime_find(""));
}

static void assert_env(const json_t *env, const char *key, const char *value)
{
	const char *is = json_get_str(env, key, NULL);

	if (!value) {
		assert_null(is);
		return;
	}
	assert_non_null(is);
	assert_string_equal(is, value);
}

static void test_env_ours_wins(void **state)
{
	_cleanup_json_ json_t *user = json_pack("{s:s,s:s,s:s}", "A", "1",
						"CRONIUM_JOB_ID", "forged",
						"PATH", "/mine");
	_cleanup_json_ json_t *env = runtime_env(runtime_find("python"), &plain,
						 &bare, &who, user);

	assert_env(env, "A", "1");
	assert_env(env, "PATH", "/mine");
	assert_env(env, "CRONIUM_JOB_ID", "job_1");
	assert_env(env, "CRONIUM_EXECUTION_ID", "ex_1");
	assert_env(env, "CRONIUM_EXECUTION_TOKEN", "tok");
	assert_env(env, "CRONIUM_EXECUTION_MODE", "container");
	assert_env(env, "CRONIUM_RUNTIME_API", "http://localhost:8081");
	assert_env(env, "PYTHONPATH", NULL);
	/* The user's own object is untouched. */
	assert_env(user, "CRONIUM_JOB_ID", "forged");
}

static void test_environment(void **state)
{
	_cleanup_json_ json_t *mine = json_pack("{s:s}", "NODE_ENV", "test");
	_cleanup_json_ json_t *python = NULL, *bun = NULL, *node = NULL;
	struct runtime_config_options o = plain;

	o.environment = "staging";
	python = runtime_env(runtime_find("python"), &o, &bare, &who, NULL);
	bun = runtime_env(runtime_find("bun"), &o, &bare, &who, NULL);
	node = runtime_env(runtime_find("node"), &o, &bare, &who, mine);
	assert_env(python, "CRONIUM_ENVIRONMENT", "staging");
	assert_env(python, "NODE_ENV", NULL);
	assert_env(bun, "NODE_ENV", "staging");
	assert_env(node, "CRONIUM_ENVIRONMENT", "staging");
	assert_env(node, "NODE_ENV", "test");
}

static void test_proxy(void **state)
{
	_cleanup_json_ json_t *mine = json_pack("{s:s}", "http_proxy", "mine");
	_cleanup_json_ json_t *none = NULL, *some = NULL, *all = NULL;
	struct runtime_config_options o = plain;

	none = runtime_env(runtime_find("node"), &o, &bare, &who, mine);
	o.permissions.net = RUNTIME_ALLOW_LIST("a.test");
	some = runtime_env(runtime_find("node"), &o, &bare, &who, mine);
	o.permissions.net = RUNTIME_ALLOW_ALL;
	all = runtime_env(runtime_find("bash"), &o, &bare, &who, NULL);
	assert_env(none, "http_proxy", "mine");
	assert_env(none, "HTTPS_PROXY", NULL);
	assert_env(none, "NODE_USE_ENV_PROXY", NULL);
	assert_env(some, "http_proxy", "http://localhost:8082");
	assert_env(some, "HTTPS_PROXY", "http://localhost:8082");
	assert_env(some, "NO_PROXY", "localhost,127.0.0.1,::1");
	assert_env(some, "NODE_USE_ENV_PROXY", "1");
	assert_env(all, "https_proxy", "http://localhost:8082");
	assert_env(all, "NODE_USE_ENV_PROXY", NULL);
}

static void test_env_sdk(void **state)
{
	_cleanup_json_ json_t *user = json_pack("{s:s}", "PYTHONPATH",
						"/lib/mine");
	_cleanup_json_ json_t *python = runtime_env(runtime_find("python"),
						    &plain, &with_sdk, &who,
						    user);
	_cleanup_json_ json_t *bash = runtime_env(runtime_find("bash"), &plain,
						  &with_sdk, &who, NULL);
	_cleanup_json_ json_t *node = runtime_env(runtime_find("node"), &plain,
						  &with_sdk, &who, NULL);

	assert_env(python, "PYTHONPATH", "/opt/cronium/sdk/python:/lib/mine");
	assert_env(python, "PATH", NULL);
	assert_env(bash, "PATH",
		   "/opt/cronium/sdk/bash:/usr/local/sbin:/usr/local/bin:"
		   "/usr/sbin:/usr/bin:/sbin:/bin");
	assert_env(node, "PATH", NULL);
}

static void test_env_standalone(void **state)
{
	_cleanup_json_ json_t *user = json_pack("{s:s}", "PATH", "/mine");
	_cleanup_json_ json_t *own = runtime_env(runtime_find("bun"), &plain,
						 &with_sdk, &who, user);
	_cleanup_json_ json_t *usual = runtime_env(runtime_find("bun"), &plain,
						   &with_sdk, &who, NULL);
	_cleanup_json_ json_t *image = runtime_env(runtime_find("bun"), &plain,
						   &bare, &who, NULL);

	assert_env(own, "PATH", "/opt/bin:/mine");
	assert_env(usual, "PATH",
		   "/opt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:"
		   "/usr/bin:/sbin:/bin");
	assert_env(image, "PATH", NULL);
	assert_string_equal(runtime_program("bun"), "bun");
	assert_null(runtime_program("node"));
	assert_null(runtime_program("perl"));
}

static void test_trace(void **state)
{
	struct runtime_identity traced = who;
	_cleanup_json_ json_t *none = NULL, *own = NULL, *users = NULL;
	_cleanup_json_ json_t *env = json_pack("{s:s}", "TRACEPARENT", "mine");
	const char *parent;

	none = runtime_env(runtime_find("bash"), &plain, &bare, &traced, NULL);
	assert_null(json_object_get(none, "TRACEPARENT"));
	traced.trace = "0123456789abcdef0123456789abcdef";
	own = runtime_env(runtime_find("bash"), &plain, &bare, &traced, NULL);
	parent = json_get_str(own, "TRACEPARENT", "");
	assert_string_equal(trace_find(parent) ? "found" : "", "found");
	assert_memory_equal(trace_find(parent), traced.trace, 32);
	users = runtime_env(runtime_find("bash"), &plain, &bare, &traced, env);
	assert_string_equal(json_get_str(users, "TRACEPARENT", ""), "mine");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_argv),
		cmocka_unit_test(test_argv_without_args),
		cmocka_unit_test(test_argv_options),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_env_ours_wins),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_proxy),
		cmocka_unit_test(test_env_sdk),
		cmocka_unit_test(test_env_standalone),
		cmocka_unit_test(test_trace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
