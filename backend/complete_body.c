#include "backend/complete_body.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "backend/store.h"
#include "common/json.h"

struct complete_member {
	const char *name;
	json_type type;
	json_int_t max;
	const char *must;
};

static const struct complete_member complete_members[] = {
	{ "reason", JSON_STRING, 0, "a string" },
	{ "exit_code", JSON_INTEGER, 255, "a number from 0 to 255" },
	{ "signal", JSON_INTEGER, 127, "a number from 0 to 127" },
	{ "oom_killed", JSON_TRUE, 0, "true or false" },
	{ "usage", JSON_OBJECT, 0, "an object" },
	{ "telemetry", JSON_OBJECT, 0, "an object" },
	{ "log_dropped_bytes", JSON_INTEGER, INT64_MAX, "a number" },
};

static const struct complete_member complete_usage_members[] = {
	{ "user_us", JSON_INTEGER, INT64_MAX, "a number" },
	{ "system_us", JSON_INTEGER, INT64_MAX, "a number" },
	{ "max_rss_kb", JSON_INTEGER, INT64_MAX, "a number" },
	{ "peak_memory_bytes", JSON_INTEGER, INT64_MAX, "a number" },
	{ "read_bytes", JSON_INTEGER, INT64_MAX, "a number" },
	{ "write_bytes", JSON_INTEGER, INT64_MAX, "a number" },
};

static const struct complete_member complete_telemetry_members[] = {
	{ "before", JSON_OBJECT, 0, "an object" },
	{ "after", JSON_OBJECT, 0, "an object" },
};

static bool complete_member_valid(const struct complete_member *m,
				  const json_t *v)
{
	json_int_t n = json_integer_value(v);

	if (!v || json_is_null(v))
		return true;
	if (m->type == JSON_TRUE)
		return json_is_boolean(v);
	return json_typeof(v) == m->type &&
	       (m->type != JSON_INTEGER || (n >= 0 && n <= m->max));
}

static bool complete_check(const json_t *o,
			   const struct complete_member *members, size_t n,
			   char why[COMPLETE_WHY_BYTES])
{
	for (size_t i = 0; i < n; i++) {
		const struct complete_member *m = &members[i];

		if (complete_member_valid(m, json_object_get(o, m->name)))
			continue;
		snprintf(why, COMPLETE_WHY_BYTES, "\"%s\" must be %s, or null",
			 m->name, m->must);
		return false;
	}
	return true;
}

static bool complete_is_valid(const json_t *o, char why[COMPLETE_WHY_BYTES])
{
	return complete_check(o, complete_members, ARRAY_SIZE(complete_members),
			      why) &&
	       complete_check(json_object_get(o, "usage"),
			      complete_usage_members,
			      ARRAY_SIZE(complete_usage_members), why) &&
	       complete_check(json_object_get(o, "telemetry"),
			      complete_telemetry_members,
			      ARRAY_SIZE(complete_telemetry_members), why);
}

/* An end state that an agent may know of. */
static bool complete_state(const json_t *o, enum job_state *state,
			   char why[COMPLETE_WHY_BYTES])
{
	const char *name = json_get_str(o, "state", "");

	if (!job_state_parse(name, state) && job_state_ended(*state))
		return true;
	snprintf(why, COMPLETE_WHY_BYTES,
		 "\"%.40s\" is not a state that a job ends in: succeeded, "
		 "failed, timed_out, cancelled or lost",
		 name);
	return false;
}

static void complete_fill_usage(struct store_usage *u, const json_t *o)
{
	u->user_us = json_get_int(o, "user_us", STORE_USAGE_UNKNOWN);
	u->system_us = json_get_int(o, "system_us", STORE_USAGE_UNKNOWN);
	u->max_rss_kb = json_get_int(o, "max_rss_kb", STORE_USAGE_UNKNOWN);
	u->peak_memory_bytes = json_get_int(o, "peak_memory_bytes",
					    STORE_USAGE_UNKNOWN);
	u->read_bytes = json_get_int(o, "read_bytes", STORE_USAGE_UNKNOWN);
	u->write_bytes = json_get_int(o, "write_bytes", STORE_USAGE_UNKNOWN);
}

static int complete_fill_telemetry(struct store_complete *c, const json_t *o,
				   struct buf *text,
				   char why[COMPLETE_WHY_BYTES])
{
	if (!json_is_object(o))
		return 0;
	if (json_append(text, o) < 0)
		return -ENOMEM;
	if (text->len > COMPLETE_TELEMETRY_MAX_BYTES) {
		snprintf(why, COMPLETE_WHY_BYTES,
			 "\"telemetry\" has %zu bytes, it may have %d",
			 text->len, COMPLETE_TELEMETRY_MAX_BYTES);
		return -EINVAL;
	}
	c->telemetry = (struct store_blob){ text->data, text->len };
	return 0;
}

int complete_body_parse(const json_t *body, struct store_complete *out,
			struct buf *telemetry, const char **code,
			char why[COMPLETE_WHY_BYTES])
{
	*code = "invalid_state";
	if (!complete_state(body, &out->state, why))
		return -EINVAL;
	*code = "invalid_completion";
	if (!complete_is_valid(body, why))
		return -EINVAL;
	out->reason = json_get_str(body, "reason", NULL);
	out->has_exit_code = json_is_integer(
		json_object_get(body, "exit_code"));
	out->exit_code = (int)json_get_int(body, "exit_code", 0);
	out->signal = (int)json_get_int(body, "signal", 0);
	out->oom_killed = json_get_bool(body, "oom_killed", false);
	out->log_dropped_bytes = json_get_int(body, "log_dropped_bytes", 0);
	complete_fill_usage(&out->usage, json_object_get(body, "usage"));
	return complete_fill_telemetry(out, json_object_get(body, "telemetry"),
				       telemetry, why);
}
