#include "backend/job_spec.h"

#include <errno.h>
#include <string.h>

#include "backend/job_spec_impl.h"
#include "common/json.h"
#include "common/runtime_config.h"

#define JOB_SPEC_TEXT_OF(n) #n
#define JOB_SPEC_TEXT(n) JOB_SPEC_TEXT_OF(n)
#define JOB_SPEC_MEMORY_MB JOB_SPEC_TEXT(RUNTIME_MEMORY_MB)

static const struct job_spec_member job_spec_members[] = {
	{ .name = "name",
	  .check = job_spec_check_text,
	  .max = JOB_SPEC_NAME_MAX_BYTES },
	{ .name = "script_name" },
	{ .name = "runtime" },
	{ .name = "payload", .check = job_spec_check_bool, .initial = "false" },
	{ .name = "args", .check = job_spec_check_args, .initial = "[]" },
	{ .name = "env", .check = job_spec_check_env, .initial = "{}" },
	{ .name = "executor",
	  .check = job_spec_check_choice,
	  .initial = "\"auto\"",
	  .choices = { "auto", "docker", "sandbox", "ssh" } },
	{ .name = "host", .check = job_spec_check_host, .initial = "null" },
	{ .name = "image", .check = job_spec_check_image, .initial = "null" },
	{ .name = "network",
	  .check = job_spec_check_choice,
	  .initial = "\"none\"",
	  .choices = { "none", "egress" } },
	{ .name = "timeout_ms",
	  .check = job_spec_check_integer,
	  .initial = "0",
	  .max = JOB_SPEC_TIMEOUT_MAX_MS },
	{ .name = "memory_mb",
	  .check = job_spec_check_integer,
	  .initial = JOB_SPEC_MEMORY_MB,
	  .min = RUNTIME_MEMORY_MIN_MB,
	  .max = RUNTIME_MEMORY_MAX_MB },
	{ .name = "cpus",
	  .check = job_spec_check_number,
	  .initial = "1.0",
	  .min = 0.01,
	  .max = 1024 },
	{ .name = "pids",
	  .check = job_spec_check_integer,
	  .initial = "256",
	  .min = 8,
	  .max = 32768 },
	{ .name = "labels", .check = job_spec_check_labels, .initial = "{}" },
	{ .name = "vars_read",
	  .check = job_spec_check_patterns,
	  .initial = "[\"*\"]" },
	{ .name = "vars_write",
	  .check = job_spec_check_patterns,
	  .initial = "[\"*\"]" },
	{ .name = "tools",
	  .check = job_spec_check_patterns,
	  .initial = "[\"*\"]" },
	{ .name = "agent", .check = job_spec_check_agent, .initial = "null" },
	{ .name = "agent_labels",
	  .check = job_spec_check_agent_labels,
	  .initial = "{}" },
	{ .name = "session",
	  .check = job_spec_check_session,
	  .initial = "null" },
	{ .name = "no_wait", .check = job_spec_check_bool, .initial = "false" },
	{ .name = "input_stream",
	  .check = job_spec_check_choice,
	  .initial = "\"open\"",
	  .choices = { "open", "none" } },
	{ .name = "input_from",
	  .check = job_spec_check_job,
	  .initial = "null" },
	{ .name = "read_only",
	  .check = job_spec_check_bool,
	  .initial = "false" },
	{ .name = "dry_run", .check = job_spec_check_bool, .initial = "false" },
	{ .name = JOB_SPEC_CAPABILITY,
	  .check = job_spec_check_own,
	  .initial = "null" },
	{ .name = JOB_SPEC_SHARES,
	  .check = job_spec_check_own,
	  .initial = "\"none\"" },
	{ .name = JOB_SPEC_PROCESSES,
	  .check = job_spec_check_own,
	  .initial = "false" },
};

static const struct job_spec_member *spec_member_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(job_spec_members); i++)
		if (!strcmp(name, job_spec_members[i].name))
			return &job_spec_members[i];
	return NULL;
}

/* Copies what is there and fills in what is not. */
static int spec_fill(struct violations *c, const json_t *in, json_t *spec)
{
	for (size_t i = 0; i < ARRAY_SIZE(job_spec_members); i++) {
		const struct job_spec_member *m = &job_spec_members[i];
		json_t *v = json_object_get(in, m->name);

		if (v && m->check)
			m->check(c, m, v);
		if (v)
			v = json_incref(v);
		else if (m->initial)
			v = json_loads(m->initial, JSON_DECODE_ANY, NULL);
		else
			continue;
		if (json_object_set_new(spec, m->name, v))
			return -ENOMEM;
	}
	return 0;
}

static void spec_refuse_unknown(struct violations *c, const json_t *in)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)in, name, v)
		if (!spec_member_find(name))
			violations_add(c, name, "is not a known member");
}

int job_spec_parse(const json_t *in, json_t **out, struct buf *violations)
{
	struct violations c = { .out = violations };
	_cleanup_json_ json_t *spec = json_object();
	int r;

	if (!spec)
		return -ENOMEM;
	spec_refuse_unknown(&c, in);
	r = spec_fill(&c, in, spec);
	if (!r)
		r = job_spec_complete(&c, in, spec);
	if (r || (r = violations_end(&c)) < 0)
		return -ENOMEM;
	if (r == VIOLATIONS_E_SOME)
		return JOB_SPEC_E_INVALID;
	*out = json_incref(spec);
	return 0;
}

const char *job_spec_runtime(const json_t *spec)
{
	const json_t *runtime = json_object_get(spec, "runtime");

	return json_is_string(runtime) ? json_string_value(runtime)
				       : json_get_str(runtime, "type", "");
}
