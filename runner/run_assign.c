#include "runner/run_assign.h"

#include <stdio.h>
#include <string.h>

#include "common/macro.h"
#include "common/runtime_command.h"
#include "runner/run.h"

/* What the caller says of a runtime API; nothing of it is ours to make up. */
static const char *const run_assign_passed[] = {
	"CRONIUM_RUNTIME_API",
	"CRONIUM_EXECUTION_TOKEN",
	"CRONIUM_EXECUTION_ID",
	"CRONIUM_JOB_ID",
};

static json_t *run_assign_argv(const struct run_assign *a)
{
	json_t *argv = runtime_command_argv(
		runtime_config_type(a->config), runtime_config_get(a->config),
		json_get_str(a->manifest, "entrypoint", ""));
	int r = argv ? 0 : -1;

	for (char *const *arg = a->args; *arg; arg++)
		r |= json_array_append_new(argv, json_string(*arg));
	if (!r)
		return argv;
	json_decref(argv);
	return NULL;
}

static json_t *run_assign_env(const struct run_assign *a)
{
	json_t *env = json_copy(json_object_get(a->manifest, "env"));
	int r = 0;

	if (!env)
		env = json_object();
	for (size_t i = 0; i < ARRAY_SIZE(run_assign_passed); i++) {
		const char *value = getenv(run_assign_passed[i]);

		if (value)
			r |= json_object_set_new(env, run_assign_passed[i],
						 json_string(value));
	}
	r |= runtime_command_set_env(env, runtime_config_type(a->config),
				     runtime_config_get(a->config));
	if (!r)
		return env;
	json_decref(env);
	return NULL;
}

/* The way to the caller's runtime API: http://HOST[:PORT], or https. */
static json_t *run_assign_doors(void)
{
	const char *url = getenv("CRONIUM_RUNTIME_API");
	char host[256] = "";
	unsigned int port = 80;
	const char *rest = NULL;

	if (url && !strncmp(url, "http://", 7))
		rest = url + 7;
	if (url && !strncmp(url, "https://", 8)) {
		rest = url + 8;
		port = 443;
	}
	if (!rest || sscanf(rest, "%255[^:/]:%u", host, &port) < 1)
		return json_array();
	return json_pack("[{s:s, s:i, s:o}]", "name", host, "port", (int)port,
			 "to", json_sprintf("%s:%u", host, port));
}

json_t *run_assign_new(const struct run_assign *a, char *err, size_t err_size)
{
	const struct runtime_config_options *o = runtime_config_get(a->config);
	_cleanup_json_ json_t *block = runtime_config_json(a->config);
	json_t *assign;

	assign = json_pack(
		"{s:s, s:s, s:o, s:s, s:I, s:b, s:s, s:I, s:s, s:O, s:I, s:o, "
		"s:s, s:i, s:i, s:i, s:o}",
		"execution", "", "job", "", "argv", run_assign_argv(a),
		"script_name", json_get_str(a->manifest, "entrypoint", ""),
		"script_bytes", (json_int_t)a->payload_bytes, "payload", 1,
		"signature", a->signature, "file_mode",
		(json_int_t)o->worker_file_perm, "runtime", o->type,
		"permissions", json_object_get(block, "permissions"),
		"max_stderr_bytes", (json_int_t)o->max_stderr_bytes, "env",
		run_assign_env(a), "work_dir", "", "uid", -1, "gid", -1,
		"grace_ms", RUN_GRACE_MS, "doors", run_assign_doors());
	if (!assign)
		snprintf(err, err_size,
			 "cannot run it: out of memory, or an argument that is "
			 "no UTF-8");
	return assign;
}
