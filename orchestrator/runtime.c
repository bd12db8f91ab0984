#include "orchestrator/runtime.h"

#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/runtime_command.h"
#include "common/trace.h"
#include "orchestrator/executor.h"

#define RUNTIME_PATH \
	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define RUNTIME_VALUE_MAX_BYTES 4096
#define RUNTIME_MODULES_DIR "/node_modules" /* the SDK, in every pod */

static const struct runtime runtimes[] = {
	{
		.type = RUNTIME_PYTHON,
		.name = "python",
		.image = "cronium/python",
		.sdk_variable = "PYTHONPATH",
	},
	{
		.type = RUNTIME_NODE,
		.name = "node",
		.image = "cronium/node",
	},
	{
		.type = RUNTIME_BASH,
		.name = "bash",
		.image = "cronium/bash",
		/* `source cronium.sh` looks along it. */
		.sdk_variable = "PATH",
		.sdk_default = RUNTIME_PATH,
	},
	{
		.type = RUNTIME_BUN,
		.name = "bun",
		.image = "cronium/bun",
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

	return rt && rt->standalone ? runtime_command_interpreter(rt->type)
				    : NULL;
}

json_t *runtime_argv(const struct runtime *rt,
		     const struct runtime_config_options *o, const char *script,
		     const json_t *args)
{
	json_t *argv = runtime_command_argv(rt->type, o, script), *arg;
	size_t i;
	int r = argv ? 0 : -1;

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

/* The way out is the egress proxy, whatever the user or the image say. */
static int runtime_set_proxy(json_t *env, const struct runtime *rt,
			     const struct runtime_allow *net)
{
	static const char *const names[] = {
		"HTTP_PROXY",
		"HTTPS_PROXY",
		"http_proxy",
		"https_proxy",
	};
	int r = 0;

	if (!net->all && !net->items)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		r |= json_object_set_new(env, names[i],
					 json_string(RUNTIME_PROXY_URL));
	r |= json_object_set_new(env, "NO_PROXY",
				 json_string(RUNTIME_PROXY_NOT_FOR));
	r |= json_object_set_new(env, "no_proxy",
				 json_string(RUNTIME_PROXY_NOT_FOR));
	if (rt->type == RUNTIME_NODE)
		r |= json_object_set_new(env, "NODE_USE_ENV_PROXY",
					 json_string("1"));
	return r;
}

json_t *runtime_env(const struct runtime *rt,
		    const struct runtime_config_options *o,
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
	/* Bun finds it at the root only if it may list the root. */
	if (rt->type == RUNTIME_BUN)
		r |= runtime_prepend(out, "NODE_PATH",
				     place->modules_dir ? place->modules_dir
							: RUNTIME_MODULES_DIR,
				     "", NULL);
	if (place->bin_dir && rt->standalone)
		r |= runtime_prepend(out, "PATH", place->bin_dir, "",
				     RUNTIME_PATH);
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		r |= json_object_set_new(out, own[i][0],
					 json_string(own[i][1]));
	r |= runtime_command_set_env(out, rt->type, o);
	if (!place->own_net)
		r |= runtime_set_proxy(out, rt, &o->permissions.net);
	r |= runtime_set_trace(out, who->trace);
	if (!r)
		return out;
	json_decref(out);
	return NULL;
}
