#include "payload/manifest.h"

#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/runtime_config.h"
#include "common/violations.h"
#include "common/yaml.h"

#define MANIFEST_VERSION "v1"
#define MANIFEST_METADATA_MAX_BYTES 256 /* of each value */

struct manifest {
	const json_t *in;
	json_t *env, *runtime, *metadata;
	const char *interpreter; /* NULL: not given, or not one */
	const char *entrypoint;
	struct violations v;
};

static void manifest_deinit(struct manifest *m)
{
	json_decref(m->env);
	json_decref(m->runtime);
	json_decref(m->metadata);
}

/* --- its members ---------------------------------------------------------- */

static void read_version(struct manifest *m, const char *name, const json_t *v)
{
	if (!json_is_string(v) ||
	    strcmp(json_string_value(v), MANIFEST_VERSION) != 0)
		violations_add(&m->v, name, "must be " MANIFEST_VERSION);
}

static void read_interpreter(struct manifest *m, const char *name,
			     const json_t *v)
{
	enum runtime_type type;

	if (!json_is_string(v))
		violations_add(&m->v, name, "must be a string, not %s",
			       json_type_name(v));
	else if (runtime_type_parse(json_string_value(v), &type) < 0)
		violations_add(&m->v, name,
			       "\"%.40s\" is none of bash, python, node, bun",
			       json_string_value(v));
	else
		m->interpreter = runtime_type_name(type);
}

static void read_entrypoint(struct manifest *m, const char *name,
			    const json_t *v)
{
	if (!json_is_string(v))
		violations_add(&m->v, name, "must be a string, not %s",
			       json_type_name(v));
	else if (!runtime_entrypoint_valid(json_string_value(v)))
		violations_add(&m->v, name,
			       "\"%.80s\" is not the path of a file in the "
			       "payload",
			       json_string_value(v));
	else
		m->entrypoint = json_string_value(v);
}

static void read_variable(struct manifest *m, const char *name,
			  const json_t *value)
{
	if (!runtime_env_name_valid(name))
		violations_add(&m->v, "environment",
			       "\"%.40s\" is not the name of a variable "
			       "(letters, digits and _, no digit in front)",
			       name);
	else if (runtime_config_env_refused(name))
		violations_add(&m->v, "environment",
			       "%s cannot be set: it changes what is loaded "
			       "or run",
			       name);
	else if (!json_is_string(value))
		violations_add(&m->v, "environment",
			       "%.80s must be a string, not %s: quote it", name,
			       json_type_name(value));
}

static void read_variables(struct manifest *m, const json_t *v)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)v, name, value)
		read_variable(m, name, value);
	if (json_object_update(m->env, (json_t *)(uintptr_t)v))
		m->v.error = -ENOMEM;
}

/* A mapping is variables; a name is what the block calls "environment". */
static void read_environment(struct manifest *m, const char *name,
			     const json_t *v)
{
	const json_t *runtime = json_object_get(m->in, "runtime");

	if (json_is_object(v))
		read_variables(m, v);
	else if (!json_is_string(v) ||
		 !runtime_environment_valid(json_string_value(v)))
		violations_add(&m->v, name,
			       "must be a mapping of variables, or one of "
			       "development, staging, production");
	else if (json_object_get(runtime, name))
		violations_add(&m->v, name,
			       "is a name here and in runtime: say it once");
	else if (json_object_set(m->runtime, name, (json_t *)(uintptr_t)v))
		m->v.error = -ENOMEM;
}

static void read_runtime(struct manifest *m, const char *name, const json_t *v)
{
	static const char *const own[] = { "type", "entrypoint" };

	if (!json_is_object(v)) {
		violations_add(&m->v, name, "must be a mapping, not %s",
			       json_type_name(v));
		return;
	}
	if (json_object_update(m->runtime, (json_t *)(uintptr_t)v))
		m->v.error = -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (!json_object_del(m->runtime, own[i]))
			violations_add(&m->v, name,
				       "%s does not belong here, but beside "
				       "it, as %s",
				       own[i], i ? own[i] : "interpreter");
}

static void read_metadata(struct manifest *m, const char *member,
			  const json_t *v)
{
	static const char *const known[] = { "jobId", "eventId", "eventVersion",
					     "createdAt" };
	const char *name;
	json_t *value;

	if (!json_is_object(v)) {
		violations_add(&m->v, member, "must be a mapping, not %s",
			       json_type_name(v));
		return;
	}
	json_object_foreach((json_t *)(uintptr_t)v, name, value) {
		size_t i = 0;

		while (i < ARRAY_SIZE(known) && strcmp(name, known[i]) != 0)
			i++;
		if (i == ARRAY_SIZE(known))
			violations_add(&m->v, member,
				       "\"%.40s\" is not a known member", name);
		else if (!json_is_string(value))
			violations_add(&m->v, member,
				       "%s must be a string, not %s: quote it",
				       name, json_type_name(value));
		else if (json_string_length(value) >
			 MANIFEST_METADATA_MAX_BYTES)
			violations_add(&m->v, member,
				       "%s has more than %d bytes", name,
				       MANIFEST_METADATA_MAX_BYTES);
	}
	if (json_object_update(m->metadata, (json_t *)(uintptr_t)v))
		m->v.error = -ENOMEM;
}

static const struct manifest_member {
	const char *name;
	bool required;
	void (*read)(struct manifest *m, const char *name, const json_t *v);
} manifest_members[] = {
	{ "version", true, read_version },
	{ "interpreter", true, read_interpreter },
	{ "entrypoint", true, read_entrypoint },
	{ "environment", false, read_environment },
	{ "runtime", false, read_runtime },
	{ "metadata", false, read_metadata },
};

/* --- the whole ------------------------------------------------------------ */

static void manifest_refuse_unknown(struct manifest *m)
{
	const char *name;
	json_t *value;
	size_t i;

	json_object_foreach((json_t *)(uintptr_t)m->in, name, value) {
		for (i = 0; i < ARRAY_SIZE(manifest_members); i++)
			if (!strcmp(name, manifest_members[i].name))
				break;
		if (i == ARRAY_SIZE(manifest_members))
			violations_add(&m->v, name, "is not a known member");
	}
}

/* A member without a value is as good as none. */
static void manifest_read_members(struct manifest *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(manifest_members); i++) {
		const struct manifest_member *member = &manifest_members[i];
		const json_t *v = json_object_get(m->in, member->name);

		if (v && !json_is_null(v))
			member->read(m, member->name, v);
		else if (member->required)
			violations_add(&m->v, member->name, "is missing");
	}
}

/* With the interpreter as its type; where that is not known, with the one that
 * takes all the members. */
static int manifest_check_runtime(struct manifest *m)
{
	_cleanup_(runtime_config_freep) struct runtime_config *config = NULL;
	_cleanup_json_ json_t *block = json_copy(m->runtime);
	int r;

	if (!block ||
	    json_object_set_new(block, "type",
				json_string(m->interpreter ? m->interpreter
							   : "node")))
		return -ENOMEM;
	m->v.prefix = "runtime";
	r = runtime_config_read_json(&config, RUNTIME_KIND_JOB, block, &m->v);
	m->v.prefix = NULL;
	return r < 0 ? r : 0;
}

static int manifest_check(struct manifest *m)
{
	int r;

	m->env = json_object();
	m->runtime = json_object();
	m->metadata = json_object();
	if (!m->env || !m->runtime || !m->metadata)
		return -ENOMEM;
	manifest_refuse_unknown(m);
	manifest_read_members(m);
	r = manifest_check_runtime(m);
	if (r < 0)
		return r;
	r = violations_end(&m->v);
	return r == VIOLATIONS_E_SOME ? MANIFEST_E_INVALID : r;
}

static int manifest_normalize(const struct manifest *m, json_t **out)
{
	*out = json_pack("{s:s,s:s,s:s,s:O,s:O,s:O}", "version",
			 MANIFEST_VERSION, "interpreter", m->interpreter,
			 "entrypoint", m->entrypoint, "env", m->env, "runtime",
			 m->runtime, "metadata", m->metadata);
	return *out ? 0 : -ENOMEM;
}

static int manifest_said(int r)
{
	return r < 0 ? r : MANIFEST_E_INVALID;
}

int manifest_parse(const void *yaml, size_t len, json_t **out,
		   struct buf *violations)
{
	_cleanup_(manifest_deinit) struct manifest m = { .v.out = violations };
	char err[YAML_ERROR_MAX_BYTES];
	_cleanup_json_ json_t *in = NULL;
	int r;

	if (len > MANIFEST_MAX_BYTES)
		return manifest_said(buf_printf(violations,
						MANIFEST_NAME
						": it has more than %d bytes",
						MANIFEST_MAX_BYTES));
	in = yaml_parse_text(yaml, len, err, sizeof(err));
	if (!in && !strcmp(err, YAML_ERROR_MEMORY))
		return -ENOMEM;
	if (!in)
		return manifest_said(
			buf_printf(violations, MANIFEST_NAME ": %s", err));
	if (!json_is_object(in))
		return manifest_said(buf_printf(
			violations,
			MANIFEST_NAME ": it must be a mapping, not %s",
			json_type_name(in)));
	m.in = in;
	r = manifest_check(&m);
	return r ? r : manifest_normalize(&m, out);
}
