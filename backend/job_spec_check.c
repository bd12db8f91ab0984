/* The checks of the members, one for each kind. */
#include <ctype.h>
#include <string.h>

#include "backend/agent.h"
#include "backend/host_spec.h"
#include "backend/job_spec_impl.h"
#include "backend/session_state.h"
#include "common/agent_labels.h"
#include "common/id.h"
#include "common/json.h"
#include "common/runtime_config.h"
#include "common/token.h"
#include "common/var_key.h"

#define AGENT_WHY_MAX_BYTES 160

static bool has_control(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	return false;
}

void job_spec_check_choice(struct violations *c,
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
		violations_add(c, m->name, "must be one of %s, not \"%.40s\"",
			       accepted, json_string_value(v));
	else
		violations_add(c, m->name, "must be one of %s, not %s",
			       accepted, json_type_name(v));
}

void job_spec_check_number(struct violations *c,
			   const struct job_spec_member *m, const json_t *v)
{
	if (!json_is_number(v))
		violations_add(c, m->name, "must be a number, not %s",
			       json_type_name(v));
	else if (!(json_number_value(v) >= m->min &&
		   json_number_value(v) <= m->max))
		violations_add(c, m->name, "must be %.10g to %.10g, not %.10g",
			       m->min, m->max, json_number_value(v));
}

void job_spec_check_integer(struct violations *c,
			    const struct job_spec_member *m, const json_t *v)
{
	if (json_is_real(v))
		violations_add(c, m->name, "must be a whole number, not %.10g",
			       json_real_value(v));
	else
		job_spec_check_number(c, m, v);
}

void job_spec_check_bool(struct violations *c, const struct job_spec_member *m,
			 const json_t *v)
{
	if (!json_is_boolean(v))
		violations_add(c, m->name, "must be true or false, not %s",
			       json_type_name(v));
}

/* One line of text of at most max bytes; an empty one is as good as none. */
void job_spec_check_text(struct violations *c, const struct job_spec_member *m,
			 const json_t *v)
{
	if (!json_is_string(v))
		violations_add(c, m->name, "must be a string, not %s",
			       json_type_name(v));
	else if (json_string_length(v) > (size_t)m->max)
		violations_add(c, m->name,
			       "must be at most %.0f bytes, not %zu", m->max,
			       json_string_length(v));
	else if (has_control(json_string_value(v)))
		violations_add(c, m->name, "must not have control characters");
}

void job_spec_check_image(struct violations *c, const struct job_spec_member *m,
			  const json_t *v)
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
		violations_add(c, m->name,
			       "must be null or an image reference such as "
			       "\"debian:bookworm-slim\"");
}

void job_spec_check_args(struct violations *c, const struct job_spec_member *m,
			 const json_t *v)
{
	size_t i, total = 0;
	json_t *item;

	if (!json_is_array(v)) {
		violations_add(c, m->name,
			       "must be an array of strings, not %s",
			       json_type_name(v));
		return;
	}
	json_array_foreach(v, i, item) {
		if (!json_is_string(item))
			violations_add(c, m->name,
				       "item %zu must be a string, not %s", i,
				       json_type_name(item));
		else
			total += json_string_length(item) + 1;
	}
	if (json_array_size(v) > JOB_SPEC_LIST_MAX_ITEMS ||
	    total > JOB_SPEC_LIST_MAX_BYTES)
		violations_add(c, m->name,
			       "must be at most %d items and %d bytes",
			       JOB_SPEC_LIST_MAX_ITEMS,
			       JOB_SPEC_LIST_MAX_BYTES);
}

static void check_env_entry(struct violations *c, const char *name,
			    const json_t *v)
{
	if (!runtime_env_name_valid(name))
		violations_add(c, "env",
			       "\"%.40s\" is not a name of letters, digits "
			       "and _",
			       name);
	else if (runtime_config_env_refused(name))
		violations_add(
			c, "env",
			strncmp(name, "CRONIUM_", 8)
				? "\"%.40s\" would change what is loaded "
				  "or run: no script gets it"
				: "\"%.40s\": names with CRONIUM_ are "
				  "reserved",
			name);
	if (!json_is_string(v))
		violations_add(c, "env", "\"%.40s\" must be a string, not %s",
			       name, json_type_name(v));
}

void job_spec_check_env(struct violations *c, const struct job_spec_member *m,
			const json_t *v)
{
	size_t total = 0;
	const char *name;
	json_t *item;

	if (!json_is_object(v)) {
		violations_add(c, m->name,
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
		violations_add(c, m->name,
			       "must be at most %d entries and %d bytes",
			       JOB_SPEC_LIST_MAX_ITEMS,
			       JOB_SPEC_LIST_MAX_BYTES);
}

void job_spec_check_labels(struct violations *c,
			   const struct job_spec_member *m, const json_t *v)
{
	const char *key;
	json_t *item;

	if (!json_is_object(v) || json_object_size(v) > JOB_SPEC_LABELS_MAX) {
		violations_add(c, m->name,
			       "must be an object of at most %d strings",
			       JOB_SPEC_LABELS_MAX);
		return;
	}
	json_object_foreach((json_t *)v, key, item)
		if (!*key || strlen(key) > JOB_SPEC_LABEL_KEY_MAX_BYTES ||
		    has_control(key) || !json_is_string(item) ||
		    json_string_length(item) > JOB_SPEC_LABEL_MAX_BYTES ||
		    has_control(json_string_value(item)))
			violations_add(c, m->name,
				       "\"%.40s\": the key must be 1 to %d "
				       "bytes and the value a string of at "
				       "most %d, without control characters",
				       key, JOB_SPEC_LABEL_KEY_MAX_BYTES,
				       JOB_SPEC_LABEL_MAX_BYTES);
}

void job_spec_check_patterns(struct violations *c,
			     const struct job_spec_member *m, const json_t *v)
{
	size_t i, total = 0;
	json_t *item;

	if (!json_is_array(v)) {
		violations_add(c, m->name,
			       "must be an array of patterns, not %s",
			       json_type_name(v));
		return;
	}
	json_array_foreach(v, i, item) {
		total += json_string_length(item);
		if (!json_is_string(item) ||
		    !var_pattern_valid(json_string_value(item)))
			violations_add(c, m->name, "item %zu must be %s or *",
				       i, VAR_KEY_RULE);
	}
	if (json_array_size(v) > TOKEN_PATTERNS_MAX ||
	    total > JOB_SPEC_PATTERNS_MAX_BYTES)
		violations_add(c, m->name,
			       "must be at most %d patterns and %d bytes",
			       TOKEN_PATTERNS_MAX, JOB_SPEC_PATTERNS_MAX_BYTES);
}

/* The name of an orchestrator; null: any. */
void job_spec_check_agent(struct violations *c, const struct job_spec_member *m,
			  const json_t *v)
{
	const char *s = json_string_value(v);

	if (json_is_null(v))
		return;
	if (!s || !agent_name_valid(s))
		violations_add(c, m->name,
			       "must be null or an agent's name: %s",
			       AGENT_NAME_RULE);
}

/* What an orchestrator must have to take it. */
void job_spec_check_agent_labels(struct violations *c,
				 const struct job_spec_member *m,
				 const json_t *v)
{
	char labels[AGENT_LABELS_MAX_BYTES], why[AGENT_WHY_MAX_BYTES];

	if (agent_labels_from_json(v, labels, why, sizeof(why)))
		violations_add(c, m->name, "%s", why);
}

/* The name of a host that was registered. */
void job_spec_check_host(struct violations *c, const struct job_spec_member *m,
			 const json_t *v)
{
	const char *s = json_string_value(v);

	if (json_is_null(v))
		return;
	if (!s || !host_name_valid(s))
		violations_add(c, m->name,
			       "must be null or a host's name: 1 to %d "
			       "letters, digits, . _ -, the first no . or -",
			       HOST_NAME_MAX_BYTES);
}

/* That there is one is the store's to say. */
void job_spec_check_session(struct violations *c,
			    const struct job_spec_member *m, const json_t *v)
{
	const char *s = json_string_value(v);

	if (json_is_null(v))
		return;
	if (!s || !session_ref_valid(s))
		violations_add(
			c, m->name,
			"must be null, a session's id, or its name: " SESSION_NAME_RULE);
}

/* The id of another job; that there is one is the store's to say. */
void job_spec_check_job(struct violations *c, const struct job_spec_member *m,
			const json_t *v)
{
	const char *s = json_string_value(v);

	if (json_is_null(v))
		return;
	if (!s || !id_valid("job", s))
		violations_add(c, m->name,
			       "must be null or the id of a job, such as "
			       "\"job_01J…\"");
}

/* A member that the server sets: in a normal form it may be as it is at
 * first. */
void job_spec_check_own(struct violations *c, const struct job_spec_member *m,
			const json_t *v)
{
	_cleanup_json_ json_t *initial = json_loads(m->initial, JSON_DECODE_ANY,
						    NULL);

	if (initial && json_equal(initial, v))
		return;
	violations_add(c, m->name,
		       "is set by the server: POST /v1/capabilities/NAME runs "
		       "a capability");
}

bool job_spec_script_name_valid(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= JOB_SPEC_SCRIPT_NAME_MAX_BYTES &&
	       name[0] != '-' && strcmp(name, ".") && strcmp(name, "..") &&
	       !strchr(name, '/') && !strchr(name, '\\') && !has_control(name);
}
