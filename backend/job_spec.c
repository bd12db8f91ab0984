#include "backend/job_spec.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "backend/agent.h"
#include "common/id.h"
#include "common/json.h"
#include "common/token.h"
#include "common/var_key.h"

/* The violations found so far. */
struct job_spec_check {
	struct buf *out;
	unsigned int n;
	int error; /* -ENOMEM, remembered until the end */
};

struct job_spec_member {
	const char *name;
	/* Says what is wrong with v through spec_violation(). */
	void (*check)(struct job_spec_check *c, const struct job_spec_member *m,
		      const json_t *v);
	const char *initial; /* JSON for "absent"; NULL: decided later */
	double min, max;
	const char *choices[4];
};

static void spec_violation(struct job_spec_check *c, const char *member,
			   const char *fmt, ...) PRINTF_LIKE(3, 4);

static void spec_violation(struct job_spec_check *c, const char *member,
			   const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (++c->n > JOB_SPEC_VIOLATIONS_MAX || c->error)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->error = buf_printf(c->out, "%s%.80s: %s", c->n > 1 ? "; " : "",
			      member, text);
}

static bool has_control(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	return false;
}

/* --- one check a kind of member ------------------------------------------ */

static void check_choice(struct job_spec_check *c,
			 const struct job_spec_member *m, const json_t *v)
{
	char accepted[128] = "";
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_SIZE(m->choices) && m->choices[i]; i++) {
		if (json_is_string(v) &&
		    !strcmp(json_string_value(v), m->choices[i]))
			return;
		len += (size_t)snprintf(accepted + len, sizeof(accepted) - len,
					"%s%s", i ? ", " : "", m->choices[i]);
	}
	if (json_is_string(v))
		spec_violation(c, m->name, "must be one of %s, not \"%.40s\"",
			       accepted, json_string_value(v));
	else
		spec_violation(c, m->name, "must be one of %s, not %s",
			       accepted, json_type_name(v));
}

static void check_number(struct job_spec_check *c,
			 const struct job_spec_member *m, const json_t *v)
{
	if (!json_is_number(v))
		spec_violation(c, m->name, "must be a number, not %s",
			       json_type_name(v));
	else if (!(json_number_value(v) >= m->min &&
		   json_number_value(v) <= m->max))
		spec_violation(c, m->name, "must be %.10g to %.10g, not %.10g",
			       m->min, m->max, json_number_value(v));
}

static void check_integer(struct job_spec_check *c,
			  const struct job_spec_member *m, const json_t *v)
{
	if (json_is_real(v))
		spec_violation(c, m->name, "must be a whole number, not %.10g",
			       json_real_value(v));
	else
		check_number(c, m, v);
}

static void check_bool(struct job_spec_check *c,
		       const struct job_spec_member *m, const json_t *v)
{
	if (!json_is_boolean(v))
		spec_violation(c, m->name, "must be true or false, not %s",
			       json_type_name(v));
}

/* One line of text of at most max bytes; an empty one is as good as none. */
static void check_text(struct job_spec_check *c,
		       const struct job_spec_member *m, const json_t *v)
{
	if (!json_is_string(v))
		spec_violation(c, m->name, "must be a string, not %s",
			       json_type_name(v));
	else if (json_string_length(v) > (size_t)m->max)
		spec_violation(c, m->name,
			       "must be at most %.0f bytes, not %zu", m->max,
			       json_string_length(v));
	else if (has_control(json_string_value(v)))
		spec_violation(c, m->name, "must not have control characters");
}

static void check_script_name(struct job_spec_check *c,
			      const struct job_spec_member *m, const json_t *v)
{
	if (!json_is_string(v) ||
	    !job_spec_script_name_valid(json_string_value(v)))
		spec_violation(c, m->name,
			       "must be a file name of 1 to %d bytes without "
			       "\"/\", control characters or a leading \"-\"",
			       JOB_SPEC_SCRIPT_NAME_MAX_BYTES);
}

static void check_image(struct job_spec_check *c,
			const struct job_spec_member *m, const json_t *v)
{
	static const char chars[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789._:/@-";
	const char *s = json_string_value(v);

	if (json_is_null(v))
		return;
	if (!s || !isalnum((unsigned char)s[0]) ||
	    strlen(s) > JOB_SPEC_IMAGE_MAX_BYTES ||
	    s[strspn(s, chars)] != '\0' || strstr(s, "..") || strstr(s, "//"))
		spec_violation(c, m->name,
			       "must be null or an image reference such as "
			       "\"debian:bookworm-slim\"");
}

static void check_args(struct job_spec_check *c,
		       const struct job_spec_member *m, const json_t *v)
{
	size_t i, total = 0;
	json_t *item;

	if (!json_is_array(v)) {
		spec_violation(c, m->name,
			       "must be an array of strings, not %s",
			       json_type_name(v));
		return;
	}
	json_array_foreach(v, i, item) {
		if (!json_is_string(item))
			spec_violation(c, m->name,
				       "item %zu must be a string, not %s", i,
				       json_type_name(item));
		else
			total += json_string_length(item) + 1;
	}
	if (json_array_size(v) > JOB_SPEC_LIST_MAX_ITEMS ||
	    total > JOB_SPEC_LIST_MAX_BYTES)
		spec_violation(c, m->name,
			       "must be at most %d items and %d bytes",
			       JOB_SPEC_LIST_MAX_ITEMS,
			       JOB_SPEC_LIST_MAX_BYTES);
}

static bool env_name_valid(const char *s)
{
	if (!isalpha((unsigned char)*s) && *s != '_')
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && *s != '_')
			return false;
	return true;
}

static void check_env_entry(struct job_spec_check *c, const char *name,
			    const json_t *v)
{
	if (!env_name_valid(name))
		spec_violation(c, "env",
			       "\"%.40s\" is not a name of letters, digits "
			       "and _",
			       name);
	else if (!strncmp(name, "CRONIUM_", 8))
		spec_violation(c, "env",
			       "\"%.40s\": names with CRONIUM_ are reserved",
			       name);
	if (!json_is_string(v))
		spec_violation(c, "env", "\"%.40s\" must be a string, not %s",
			       name, json_type_name(v));
}

static void check_env(struct job_spec_check *c, const struct job_spec_member *m,
		      const json_t *v)
{
	size_t total = 0;
	const char *name;
	json_t *item;

	if (!json_is_object(v)) {
		spec_violation(c, m->name,
			       "must be an object of strings, not %s",
			       json_type_name(v));
		return;
	}
	json_object_foreach((json_t *)v, name, item) {
		check_env_entry(c, name, item);
		total += strlen(name) + json_string_length(item) + 2;
	}
	if (json_object_size(v) > JOB_SPEC_LIST_MAX_ITEMS ||
	    total > JOB_SPEC_LIST_MAX_BYTES)
		spec_violation(c, m->name,
			       "must be at most %d entries and %d bytes",
			       JOB_SPEC_LIST_MAX_ITEMS,
			       JOB_SPEC_LIST_MAX_BYTES);
}

static void check_labels(struct job_spec_check *c,
			 const struct job_spec_member *m, const json_t *v)
{
	const char *key;
	json_t *item;

	if (!json_is_object(v) || json_object_size(v) > JOB_SPEC_LABELS_MAX) {
		spec_violation(c, m->name,
			       "must be an object of at most %d strings",
			       JOB_SPEC_LABELS_MAX);
		return;
	}
	json_object_foreach((json_t *)v, key, item)
		if (!*key || strlen(key) > JOB_SPEC_LABEL_KEY_MAX_BYTES ||
		    has_control(key) || !json_is_string(item) ||
		    json_string_length(item) > JOB_SPEC_LABEL_MAX_BYTES ||
		    has_control(json_string_value(item)))
			spec_violation(c, m->name,
				       "\"%.40s\": the key must be 1 to %d "
				       "bytes and the value a string of at "
				       "most %d, without control characters",
				       key, JOB_SPEC_LABEL_KEY_MAX_BYTES,
				       JOB_SPEC_LABEL_MAX_BYTES);
}

static void check_patterns(struct job_spec_check *c,
			   const struct job_spec_member *m, const json_t *v)
{
	size_t i, total = 0;
	json_t *item;

	if (!json_is_array(v)) {
		spec_violation(c, m->name,
			       "must be an array of patterns, not %s",
			       json_type_name(v));
		return;
	}
	json_array_foreach(v, i, item) {
		total += json_string_length(item);
		if (!json_is_string(item) ||
		    !var_pattern_valid(json_string_value(item)))
			spec_violation(c, m->name, "item %zu must be %s or *",
				       i, VAR_KEY_RULE);
	}
	if (json_array_size(v) > TOKEN_PATTERNS_MAX ||
	    total > JOB_SPEC_PATTERNS_MAX_BYTES)
		spec_violation(c, m->name,
			       "must be at most %d patterns and %d bytes",
			       TOKEN_PATTERNS_MAX, JOB_SPEC_PATTERNS_MAX_BYTES);
}

/* The name of an orchestrator; null: any. */
static void check_agent(struct job_spec_check *c,
			const struct job_spec_member *m, const json_t *v)
{
	const char *s = json_string_value(v);

	if (json_is_null(v))
		return;
	if (!s || !agent_name_valid(s))
		spec_violation(c, m->name,
			       "must be null or an agent's name: %s",
			       AGENT_NAME_RULE);
}

/* The id of another job; that there is one is the store's to say. */
static void check_job(struct job_spec_check *c, const struct job_spec_member *m,
		      const json_t *v)
{
	const char *s = json_string_value(v);

	if (json_is_null(v))
		return;
	if (!s || !id_valid("job", s))
		spec_violation(c, m->name,
			       "must be null or the id of a job, such as "
			       "\"job_01J…\"");
}

/* --- the members --------------------------------------------------------- */

static const struct job_spec_member job_spec_members[] = {
	{ .name = "name", .check = check_text, .max = JOB_SPEC_NAME_MAX_BYTES },
	{ .name = "script_name", .check = check_script_name },
	{ .name = "runtime",
	  .check = check_choice,
	  .choices = { "python", "node", "bash", "bun" } },
	{ .name = "args", .check = check_args, .initial = "[]" },
	{ .name = "env", .check = check_env, .initial = "{}" },
	{ .name = "executor",
	  .check = check_choice,
	  .initial = "\"auto\"",
	  .choices = { "auto", "docker", "sandbox" } },
	{ .name = "image", .check = check_image, .initial = "null" },
	{ .name = "network",
	  .check = check_choice,
	  .initial = "\"none\"",
	  .choices = { "none", "egress" } },
	{ .name = "timeout_ms",
	  .check = check_integer,
	  .initial = "0",
	  .max = JOB_SPEC_TIMEOUT_MAX_MS },
	{ .name = "memory_mb",
	  .check = check_integer,
	  .initial = "512",
	  .min = 16,
	  .max = 4 * 1024 * 1024 },
	{ .name = "cpus",
	  .check = check_number,
	  .initial = "1.0",
	  .min = 0.01,
	  .max = 1024 },
	{ .name = "pids",
	  .check = check_integer,
	  .initial = "256",
	  .min = 8,
	  .max = 32768 },
	{ .name = "labels", .check = check_labels, .initial = "{}" },
	{ .name = "vars_read", .check = check_patterns, .initial = "[\"*\"]" },
	{ .name = "vars_write", .check = check_patterns, .initial = "[\"*\"]" },
	{ .name = "tools", .check = check_patterns, .initial = "[\"*\"]" },
	{ .name = "agent", .check = check_agent, .initial = "null" },
	{ .name = "input_stream",
	  .check = check_choice,
	  .initial = "\"open\"",
	  .choices = { "open", "none" } },
	{ .name = "input_from", .check = check_job, .initial = "null" },
	{ .name = "read_only", .check = check_bool, .initial = "false" },
	{ .name = "dry_run", .check = check_bool, .initial = "false" },
};

static const struct job_spec_member *spec_member_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(job_spec_members); i++)
		if (!strcmp(name, job_spec_members[i].name))
			return &job_spec_members[i];
	return NULL;
}

static const struct {
	const char *suffix, *runtime;
} job_spec_suffixes[] = {
	{ ".py", "python" }, { ".js", "node" }, { ".mjs", "node" },
	{ ".cjs", "node" },  { ".sh", "bash" }, { ".bash", "bash" },
	{ ".ts", "bun" },    { ".mts", "bun" }, { ".cts", "bun" },
};

static const char *runtime_by_suffix(const char *name)
{
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot && i < ARRAY_SIZE(job_spec_suffixes); i++)
		if (!strcmp(dot, job_spec_suffixes[i].suffix))
			return job_spec_suffixes[i].runtime;
	return NULL;
}

static const char *script_by_runtime(const char *runtime)
{
	if (!strcmp(runtime, "python"))
		return "script.py";
	if (!strcmp(runtime, "bun"))
		return "script.ts";
	return !strcmp(runtime, "node") ? "script.js" : "script.sh";
}

static int spec_set(json_t *spec, const char *key, const char *value)
{
	return json_object_set_new(spec, key, json_string(value)) ? -ENOMEM : 0;
}

/* name, script_name and runtime: each can follow from the others. */
static int spec_complete_names(struct job_spec_check *c, json_t *spec)
{
	const char *name = json_get_str(spec, "name", "");
	const char *script = json_get_str(spec, "script_name", NULL);
	const char *runtime = json_get_str(spec, "runtime", NULL);
	int r = 0;

	if (!script && job_spec_script_name_valid(name))
		script = name;
	if (!runtime && script)
		runtime = runtime_by_suffix(script);
	if (!runtime) {
		spec_violation(c, "runtime",
			       "is needed: python, node, bash or bun");
		return 0;
	}
	r = spec_set(spec, "runtime", runtime);
	runtime = json_get_str(spec, "runtime", "");
	if (!r)
		r = spec_set(spec, "script_name",
			     script ? script : script_by_runtime(runtime));
	if (!r && !*name)
		r = spec_set(spec, "name",
			     json_get_str(spec, "script_name", ""));
	return r;
}

/* An image or a network of one's own is something only Docker has. */
static int spec_complete_executor(struct job_spec_check *c, json_t *spec)
{
	const char *executor = json_get_str(spec, "executor", "");
	bool egress = !strcmp(json_get_str(spec, "network", ""), "egress");

	if (json_is_null(json_object_get(spec, "image")) && !egress)
		return 0;
	if (!strcmp(executor, "auto"))
		return spec_set(spec, "executor", "docker");
	if (!strcmp(executor, "sandbox"))
		spec_violation(c, egress ? "network" : "image",
			       "is not possible in a sandbox; use "
			       "\"executor\":\"docker\"");
	return 0;
}

/* An input stream that is not there cannot come from another job. */
static void spec_check_streams(struct job_spec_check *c, const json_t *spec)
{
	if (json_is_string(json_object_get(spec, "input_from")) &&
	    !strcmp(json_get_str(spec, "input_stream", ""), "none"))
		spec_violation(c, "input_from",
			       "needs \"input_stream\":\"open\"");
}

/* Copies what is there and fills in what is not. */
static int spec_fill(struct job_spec_check *c, const json_t *in, json_t *spec)
{
	for (size_t i = 0; i < ARRAY_SIZE(job_spec_members); i++) {
		const struct job_spec_member *m = &job_spec_members[i];
		json_t *v = json_object_get(in, m->name);

		if (v)
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

static void spec_refuse_unknown(struct job_spec_check *c, const json_t *in)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)in, name, v)
		if (!spec_member_find(name))
			spec_violation(c, name, "is not a known member");
}

int job_spec_parse(const json_t *in, json_t **out, struct buf *violations)
{
	struct job_spec_check c = { .out = violations };
	_cleanup_json_ json_t *spec = json_object();
	int r;

	if (!spec)
		return -ENOMEM;
	spec_refuse_unknown(&c, in);
	r = spec_fill(&c, in, spec);
	if (!r)
		r = spec_complete_names(&c, spec);
	if (!r)
		r = spec_complete_executor(&c, spec);
	if (!r)
		spec_check_streams(&c, spec);
	if (!r && c.n > JOB_SPEC_VIOLATIONS_MAX)
		r = buf_printf(violations, "; and %u more",
			       c.n - JOB_SPEC_VIOLATIONS_MAX);
	if (r || c.error)
		return -ENOMEM;
	if (c.n)
		return JOB_SPEC_E_INVALID;
	*out = json_incref(spec);
	return 0;
}

bool job_spec_script_name_valid(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= JOB_SPEC_SCRIPT_NAME_MAX_BYTES &&
	       name[0] != '-' && strcmp(name, ".") && strcmp(name, "..") &&
	       !strchr(name, '/') && !strchr(name, '\\') && !has_control(name);
}
