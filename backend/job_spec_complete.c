/* What follows from several members of a specification. */
#include <errno.h>
#include <string.h>

#include "backend/job_spec_impl.h"
#include "common/json.h"
#include "common/runtime_config.h"

static const char *script_by_runtime(enum runtime_type type)
{
	static const char *const names[] = {
		[RUNTIME_PYTHON] = "script.py",
		[RUNTIME_BASH] = "script.sh",
		[RUNTIME_NODE] = "script.js",
		[RUNTIME_BUN] = "script.ts",
	};

	return names[type];
}

static int spec_set(json_t *spec, const char *key, const char *value)
{
	return json_object_set_new(spec, key, json_string(value)) ? -ENOMEM : 0;
}

/* --- the names ------------------------------------------------------------ */

/* A payload's may lie in a directory, a script is a file of the work dir. */
static void check_script_name(struct violations *c, const json_t *v,
			      bool payload)
{
	const char *s = json_string_value(v);

	if (payload && (!s || !runtime_entrypoint_valid(s)))
		violations_add(c, "script_name",
			       "must be a relative path of 1 to %d bytes "
			       "without \"..\", \"\\\", control characters or "
			       "a leading \"-\"",
			       RUNTIME_ENTRYPOINT_MAX_BYTES);
	else if (!payload && (!s || !job_spec_script_name_valid(s)))
		violations_add(c, "script_name",
			       "must be a file name of 1 to %d bytes without "
			       "\"/\", control characters or a leading \"-\"",
			       JOB_SPEC_SCRIPT_NAME_MAX_BYTES);
}

/* The file to run, where somebody says it; else NULL. */
static const char *find_script_name(const json_t *in, bool payload)
{
	const char *entrypoint = json_get_str(json_object_get(in, "runtime"),
					      "entrypoint", NULL);
	const char *script = json_get_str(in, "script_name", NULL);
	const char *name = json_get_str(in, "name", "");

	if (!script && entrypoint &&
	    (payload || job_spec_script_name_valid(entrypoint)))
		script = entrypoint;
	if (!script && !payload && job_spec_script_name_valid(name))
		script = name;
	return script;
}

/* name and script_name: each can follow from the other, or the runtime. */
static int spec_complete_names(struct violations *c, const json_t *in,
			       json_t *spec,
			       const struct runtime_config *config)
{
	bool payload = json_is_true(json_object_get(spec, "payload"));
	const json_t *given = json_object_get(in, "script_name");
	const char *script = find_script_name(in, payload);
	const char *entrypoint = config ? runtime_config_get(config)->entrypoint
					: NULL;
	int r;

	if (given)
		check_script_name(c, given, payload);
	if (!script && payload) {
		violations_add(c, "script_name",
			       "is needed: the file of the payload to run");
		return 0;
	}
	if (!script && config)
		script = script_by_runtime(runtime_config_type(config));
	if (!script)
		return 0; /* said already: no runtime */
	if (entrypoint && strcmp(entrypoint, script) != 0)
		violations_add(c, "runtime.entrypoint",
			       "\"%.80s\" is not the file to run, \"%.80s\"",
			       entrypoint, script);
	r = spec_set(spec, "script_name", script);
	if (!r && !*json_get_str(spec, "name", ""))
		r = spec_set(spec, "name", script);
	return r;
}

/* --- the runtime ---------------------------------------------------------- */

/* The block as it was meant: with the type that the file's name says, and with
 * the job's memory, by which options are judged. */
static json_t *spec_block(const json_t *in, bool payload)
{
	const json_t *given = json_object_get(in, "runtime");
	const json_t *memory = json_object_get(in, "memory_mb");
	const char *script = find_script_name(in, payload);
	const char *type = json_string_value(given);
	json_t *block;
	int r = 0;

	if (!type && script)
		type = runtime_type_name_by_suffix(script);
	block = json_is_object(given) ? json_copy((json_t *)(uintptr_t)given)
				      : json_object();
	if (type && !json_object_get(block, "type"))
		r = spec_set(block, "type", type);
	if (json_is_integer(memory) &&
	    json_integer_value(memory) >= RUNTIME_MEMORY_MIN_MB &&
	    json_integer_value(memory) <= RUNTIME_MEMORY_MAX_MB &&
	    !json_object_get(block, "max_memory_mb"))
		r |= json_object_set(block, "max_memory_mb",
				     (json_t *)(uintptr_t)memory);
	if (!r)
		return block;
	json_decref(block);
	return NULL;
}

static int spec_read_runtime(struct violations *c, const json_t *in,
			     bool payload, struct runtime_config **config)
{
	const json_t *given = json_object_get(in, "runtime");
	_cleanup_json_ json_t *block = spec_block(in, payload);
	enum runtime_type type;
	int r;

	if (!block)
		return -ENOMEM;
	if (given && !json_is_string(given) && !json_is_object(given)) {
		violations_add(c, "runtime",
			       "must be a type's name or an object, not %s",
			       json_type_name(given));
		return 0;
	}
	if (json_is_string(given) &&
	    runtime_type_parse(json_string_value(given), &type) < 0) {
		violations_add(c, "runtime",
			       "must be one of python, node, bash, bun, not "
			       "\"%.40s\"",
			       json_string_value(given));
		return 0;
	}
	if (!given && !json_object_get(block, "type")) {
		violations_add(c, "runtime",
			       "is needed: python, node, bash or bun");
		return 0;
	}
	c->prefix = "runtime";
	r = runtime_config_read_json(config, RUNTIME_KIND_JOB, block, c);
	c->prefix = NULL;
	return r < 0 ? r : 0;
}

/* A number that the job and its block can both say. */
static int spec_merge(struct violations *c, const json_t *in, json_t *spec,
		      const char *name, const char *block_name,
		      json_int_t of_block)
{
	const json_t *given = json_object_get(in, name);
	const json_t *block = json_object_get(in, "runtime");
	char full[64];

	if (!json_object_get(block, block_name) ||
	    json_is_null(json_object_get(block, block_name)))
		return 0;
	if (!given)
		return json_object_set_new(spec, name, json_integer(of_block))
			       ? -ENOMEM
			       : 0;
	snprintf(full, sizeof(full), "runtime.%s", block_name);
	if (json_is_integer(given) && json_integer_value(given) != of_block)
		violations_add(c, full,
			       "%" JSON_INTEGER_FORMAT
			       " is not what %s says, %" JSON_INTEGER_FORMAT
			       ": say it once",
			       of_block, name, json_integer_value(given));
	return 0;
}

static int spec_complete_runtime(struct violations *c, const json_t *in,
				 json_t *spec,
				 const struct runtime_config *config)
{
	const struct runtime_config_options *o = runtime_config_get(config);
	json_t *block = runtime_config_json(config);

	/* They are the job's own members in its normal form. */
	if (!block || json_object_del(block, "max_memory_mb") ||
	    json_object_del(block, "timeout") ||
	    json_object_set(spec, "runtime", block)) {
		json_decref(block);
		return -ENOMEM;
	}
	json_decref(block);
	if (spec_merge(c, in, spec, "memory_mb", "max_memory_mb",
		       o->max_memory_mb))
		return -ENOMEM;
	return spec_merge(c, in, spec, "timeout_ms", "timeout",
			  (json_int_t)o->timeout_ms);
}

/* --- executor, streams ---------------------------------------------------- */

/* A host is reached by SSH, and by nothing else. */
static int spec_complete_host(struct violations *c, json_t *spec)
{
	bool ssh = !strcmp(json_get_str(spec, "executor", ""), "ssh");
	bool any = !strcmp(json_get_str(spec, "executor", ""), "auto");

	if (json_is_null(json_object_get(spec, "host"))) {
		if (ssh)
			violations_add(c, "host",
				       "is needed by the executor ssh: the "
				       "name of a registered host");
		return 0;
	}
	if (!ssh && !any)
		violations_add(c, "host", "needs \"executor\":\"ssh\"");
	return any ? spec_set(spec, "executor", "ssh") : 0;
}

/* An image or a network of one's own is something only Docker has. */
static int spec_complete_executor(struct violations *c, json_t *spec)
{
	const char *executor = json_get_str(spec, "executor", "");
	bool egress = !strcmp(json_get_str(spec, "network", ""), "egress");

	if (json_is_null(json_object_get(spec, "image")) && !egress)
		return 0;
	if (!strcmp(executor, "auto"))
		return spec_set(spec, "executor", "docker");
	if (!strcmp(executor, "sandbox") || !strcmp(executor, "ssh"))
		violations_add(c, egress ? "network" : "image",
			       "is not possible %s; use "
			       "\"executor\":\"docker\"",
			       !strcmp(executor, "ssh") ? "on a host"
							: "in a sandbox");
	return 0;
}

/* An input stream that is not there cannot come from another job. */
static void spec_check_streams(struct violations *c, const json_t *spec)
{
	if (json_is_string(json_object_get(spec, "input_from")) &&
	    !strcmp(json_get_str(spec, "input_stream", ""), "none"))
		violations_add(c, "input_from",
			       "needs \"input_stream\":\"open\"");
}

int job_spec_complete(struct violations *c, const json_t *in, json_t *spec)
{
	bool payload = json_is_true(json_object_get(spec, "payload"));
	_cleanup_(runtime_config_freep) struct runtime_config *config = NULL;
	int r = spec_read_runtime(c, in, payload, &config);

	if (!r && config)
		r = spec_complete_runtime(c, in, spec, config);
	if (!r)
		r = spec_complete_names(c, in, spec, config);
	if (!r)
		r = spec_complete_host(c, spec);
	if (!r)
		r = spec_complete_executor(c, spec);
	if (!r)
		spec_check_streams(c, spec);
	return r;
}
