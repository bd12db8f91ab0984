#include "backend/capability_job.h"

#include <errno.h>
#include <string.h>

#include "backend/capability.h"
#include "backend/job_spec.h"
#include "backend/tool_schema.h"
#include "backend/tool_violations.h"
#include "common/json.h"
#include "common/violations.h"

/* What of an ask is a job's own, and is judged as such. */
static const char *const capability_job_members[] = {
	"dry_run", "host",   "executor", "agent", "agent_labels",
	"session", "labels", "no_wait",  "image", "memory_mb",
	"env",     "cpus",   "pids",
};

static bool capability_job_known(const char *name)
{
	if (!strcmp(name, "args") || !strcmp(name, "timeout_ms"))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(capability_job_members); i++)
		if (!strcmp(name, capability_job_members[i]))
			return true;
	return false;
}

/* Of a host in direct mode, whose gateway has an authority of one's own; all
 * else would be the program's business. */
static void capability_job_check_env(struct violations *w, const json_t *env)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)env, name, v)
		if (strcmp(name, "CRONIUM_CA_FILE") != 0)
			violations_add(w, "env",
				       "\"%.40s\" is not possible: of a "
				       "capability only CRONIUM_CA_FILE can be "
				       "set",
				       name);
}

static int capability_job_check(const struct capability *c, const json_t *ask,
				struct buf *why)
{
	const json_t *timeout = json_object_get(ask, "timeout_ms");
	const json_t *args = json_object_get(ask, "args");
	struct violations w = { .out = why };
	const char *name;
	json_t *v;
	int r;

	json_object_foreach((json_t *)(uintptr_t)ask, name, v)
		if (!capability_job_known(name))
			violations_add(&w, name, "is not a known member");
	capability_job_check_env(&w, json_object_get(ask, "env"));
	if (args && !json_is_object(args))
		violations_add(&w, "args", "must be an object, not %s",
			       json_type_name(args));
	if (timeout &&
	    (!json_is_integer(timeout) || json_integer_value(timeout) < 1 ||
	     json_integer_value(timeout) > c->timeout_max_ms))
		violations_add(&w, "timeout_ms",
			       "must be a number from 1 to %lld for %s",
			       (long long)c->timeout_max_ms, c->name);
	r = violations_end(&w);
	return r > 0 ? CAPABILITY_JOB_E_SPEC : r;
}

/* It may set its output and read its input, and no more of the server's. */
static json_t *capability_job_members_new(const struct capability *c,
					  json_t *permissions, json_t *args,
					  json_int_t timeout_ms)
{
	char name[CAPABILITY_NAME_MAX_BYTES + sizeof(".py")];

	snprintf(name, sizeof(name), "%s.py", c->name);
	return json_pack("{s:s,s:{s:s,s:s%},s:{s:s,s:O},s:I,s:[],s:[],s:[],"
			 "s:s,s:O}",
			 "name", c->name, "script", "name", name, "content",
			 c->script.data, c->script.len, "runtime", "type",
			 "python", "permissions", permissions, "timeout_ms",
			 timeout_ms, "vars_read", "vars_write", "tools",
			 "input_stream", "none", "input", args);
}

static int capability_job_append(const struct capability *c, const json_t *ask,
				 json_t *permissions, json_t *args,
				 struct buf *out)
{
	_cleanup_json_ json_t *body = capability_job_members_new(
		c, permissions, args,
		json_get_int(ask, "timeout_ms", c->timeout_ms));

	if (!body)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(capability_job_members); i++) {
		const char *name = capability_job_members[i];
		json_t *v = json_object_get(ask, name);

		if (v && json_object_set(body, name, v))
			return -ENOMEM;
	}
	return json_append(out, body);
}

int capability_job_body(const struct capability *c, const json_t *ask,
			struct tool_violations *v, struct buf *why,
			struct buf *out)
{
	_cleanup_json_ json_t *none = json_object();
	_cleanup_json_ json_t *args = NULL, *permissions = NULL;
	const json_t *given = json_object_get(ask, "args");
	int r = capability_job_check(c, ask, why);

	if (r)
		return r;
	if (!none)
		return -ENOMEM;
	r = capability_check(c, given ? given : none, v, &args, &permissions);
	if (r)
		return r == TOOL_E_INVALID ? CAPABILITY_JOB_E_ARGS : r;
	return capability_job_append(c, ask, permissions, args, out);
}

int capability_job_mark(const struct capability *c, json_t *spec)
{
	if (json_object_set_new(spec, JOB_SPEC_CAPABILITY,
				json_string(c->name)) ||
	    json_object_set_new(spec, JOB_SPEC_SHARES,
				json_string(c->shares)) ||
	    json_object_set_new(spec, JOB_SPEC_PROCESSES,
				json_boolean(c->processes)))
		return -ENOMEM;
	return 0;
}
