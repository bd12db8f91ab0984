#include "orchestrator/runtime.h"

#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/trace.h"
#include "orchestrator/executor.h"

#define RUNTIME_PATH \
	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define RUNTIME_VALUE_MAX_BYTES 4096

static const struct runtime runtimes[] = {
	{
		.name = "python",
		.image = "cronium/python",
		/* -u: a line is seen when it is printed. */
		.interpreter = { "python3", "-u" },
		.sdk_variable = "PYTHONPATH",
	},
	{
		.name = "node",
		.image = "cronium/node",
		.interpreter = { "node" },
	},
	{
		.name = "bash",
		.image = "cronium/bash",
		.interpreter = { "bash" },
		/* `source cronium.sh` looks along it. */
		.sdk_variable = "PATH",
		.sdk_default = RUNTIME_PATH,
	},
	{
		.name = "bun",
		.image = "cronium/bun",
		/* run: also a script that is called like a command of Bun's. */
		.interpreter = { "bun", "run" },
		.standalone = true,
	},
};

const struct runtime *runtime_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(runtimes); i++)
		if (!strcmp(runtimes[i].name, name))
			return &runtimes[i];
	return NULL;
}

const char *runtime_program(const char *name)
{
	const struct runtime *rt = runtime_find(name);

	return rt && rt->standalone ? rt->interpreter[0] : NULL;
}

json_t *runtime_argv(const struct runtime *rt, const char *script,
		     const json_t *args)
{
	json_t *argv = json_array(), *arg;
	size_t i;
	int r = 0;

	for (i = 0; rt->interpreter[i]; i++)
		r |= json_array_append_new(argv,
					   json_string(rt->interpreter[i]));
	r |= json_array_append_new(argv, json_string(script));
	json_array_foreach(args, i, arg)
		r |= json_array_append(argv, arg);
	if (!r)
		return argv;
	json_decref(argv);
	return NULL;
}

/* Puts dir/leaf (or dir) in front of what env says of name, or of def (may be
 * NULL). */
static int runtime_prepend(json_t *env, const char *name, const char *dir,
			   const char *leaf, const char *def)
{
	const char *old = json_get_str(env, name, def);
	char value[RUNTIME_VALUE_MAX_BYTES];
	int n;

	n = snprintf(value, sizeof(value), "%s%s%s%s%s", dir, *leaf ? "/" : "",
		     leaf, old ? ":" : "", old ? old : "");
	if (n < 0 || (size_t)n >= sizeof(value))
		return 0; /* the user's own is too long to be mended */
	return json_object_set_new(env, name, json_string(value));
}

/* What the script's calls, here and elsewhere, belong to; unless the user says
 * that it is something else. */
static int runtime_set_trace(json_t *env, const char *trace)
{
	char parent[TRACE_PARENT_BYTES];

	if (!trace || !trace_id_valid(trace) ||
	    json_object_get(env, "TRACEPARENT"))
		return 0;
	trace_parent(trace, parent);
	return json_object_set_new(env, "TRACEPARENT", json_string(parent));
}

json_t *runtime_env(const struct runtime *rt,
		    const struct executor_place *place,
		    const struct runtime_identity *who, const json_t *env)
{
	const char *const own[][2] = {
		{ "CRONIUM_RUNTIME_API", place->runtime_api },
		{ "CRONIUM_EXECUTION_TOKEN", who->token },
		{ "CRONIUM_EXECUTION_ID", who->execution },
		{ "CRONIUM_JOB_ID", who->job },
		{ "CRONIUM_EXECUTION_MODE", place->mode },
	};
	json_t *out = json_object();
	int r = 0;

	if (env)
		r = json_object_update(out, (json_t *)(uintptr_t)env);
	if (place->sdk_dir && rt->sdk_variable)
		r |= runtime_prepend(out, rt->sdk_variable, place->sdk_dir,
				     rt->name, rt->sdk_default);
	if (place->bin_dir && rt->standalone)
		r |= runtime_prepend(out, "PATH", place->bin_dir, "",
				     RUNTIME_PATH);
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		r |= json_object_set_new(out, own[i][0],
					 json_string(own[i][1]));
	r |= runtime_set_trace(out, who->trace);
	if (!r)
		return out;
	json_decref(out);
	return NULL;
}
