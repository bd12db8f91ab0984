/* What a schema says of a value alone: its type, a number, a string. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backend/tool_format.h"
#include "backend/tool_json.h"
#include "backend/tool_pattern.h"
#include "backend/tool_schema_check_impl.h"
#include "common/json.h"

#define TOOL_EXCERPT_BYTES 80

bool tool_spend(struct tool_check *c, size_t n)
{
	if (c->steps > n) {
		c->steps -= n;
		return true;
	}
	if (c->steps > 0)
		tool_say(c, "is too much to check");
	c->steps = 0;
	return false;
}

/* The value as JSON, cut. */
static void tool_excerpt(const json_t *v, char out[TOOL_EXCERPT_BYTES])
{
	struct buf text = { 0 };

	snprintf(out, TOOL_EXCERPT_BYTES, "%s", json_type_name(v));
	if (!json_is_object(v) && !json_is_array(v) &&
	    tool_json_append(&text, v) == 0 && text.len < 60)
		snprintf(out, TOOL_EXCERPT_BYTES, "%.*s", (int)text.len,
			 (const char *)text.data);
	buf_deinit(&text);
}

/* --- any value ----------------------------------------------------------- */

/* Without its fraction; beyond 2^53 there is none. */
static double tool_truncate(double d)
{
	return fabs(d) < 0x1p53 ? (double)(int64_t)d : d;
}

static double tool_round(double d)
{
	return tool_truncate(d + (d < 0 ? -0.5 : 0.5));
}

static bool tool_is_whole(const json_t *v)
{
	return json_is_integer(v) ||
	       (json_is_real(v) &&
		tool_truncate(json_real_value(v)) == json_real_value(v));
}

static unsigned int tool_types_of(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return TOOL_TYPE_OBJECT;
	case JSON_ARRAY:
		return TOOL_TYPE_ARRAY;
	case JSON_STRING:
		return TOOL_TYPE_STRING;
	case JSON_INTEGER:
	case JSON_REAL:
		return TOOL_TYPE_NUMBER |
		       (tool_is_whole(v) ? TOOL_TYPE_INTEGER : 0);
	case JSON_NULL:
		return TOOL_TYPE_NULL;
	default:
		return TOOL_TYPE_BOOLEAN;
	}
}

/* "an integer or null" */
static void tool_types_text(unsigned int types, char *out, size_t size)
{
	static const char *const names[] = { "null",       "a boolean",
					     "an integer", "a number",
					     "a string",   "an array",
					     "an object" };
	size_t len = 0;

	out[0] = '\0';
	for (unsigned int i = 0; i < ARRAY_SIZE(names) && len < size; i++)
		if (types & 1U << i)
			len += (size_t)snprintf(out + len, size - len, "%s%s",
						len ? " or " : "", names[i]);
}

bool tool_check_type(struct tool_check *c, const struct tool_schema *s,
		     const json_t *v)
{
	char want[128], got[TOOL_EXCERPT_BYTES];

	if (!s->types || (s->types & tool_types_of(v)))
		return true;
	tool_types_text(s->types, want, sizeof(want));
	tool_excerpt(v, got);
	tool_say(c, "must be %s, not %s", want,
		 json_is_real(v) ? got : json_type_name(v));
	return false;
}

static void tool_say_choices(struct tool_check *c, const json_t *choices,
			     const json_t *v)
{
	char list[256] = "", got[TOOL_EXCERPT_BYTES];
	const json_t *item;
	size_t i, len = 0;

	json_array_foreach(choices, i, item) {
		char text[TOOL_EXCERPT_BYTES];

		tool_excerpt(item, text);
		if (len + strlen(text) + 8 >= sizeof(list)) {
			strcpy(list + len, ", …");
			break;
		}
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s",
					i ? ", " : "", text);
	}
	tool_excerpt(v, got);
	tool_say(c, "must be one of %s, not %s", list, got);
}

void tool_check_choices(struct tool_check *c, const struct tool_schema *s,
			const json_t *v)
{
	char want[TOOL_EXCERPT_BYTES];
	const json_t *item;
	size_t i;

	if (s->constant && !tool_json_equal(s->constant, v)) {
		tool_excerpt(s->constant, want);
		tool_say(c, "must be %s",
			 json_is_object(v) || json_is_array(v)
				 ? "what const says"
				 : want);
	}
	if (!s->choices || !tool_spend(c, json_array_size(s->choices)))
		return;
	json_array_foreach(s->choices, i, item)
		if (tool_json_equal(item, v))
			return;
	tool_say_choices(c, s->choices, v);
}

/* --- numbers ------------------------------------------------------------- */

static void tool_check_bound(struct tool_check *c, const json_t *v,
			     const json_t *bound, bool ok, const char *what)
{
	char want[TOOL_EXCERPT_BYTES], got[TOOL_EXCERPT_BYTES];

	if (ok)
		return;
	tool_excerpt(bound, want);
	tool_excerpt(v, got);
	tool_say(c, "must be %s %s, not %s", what, want, got);
}

static bool tool_is_multiple(const json_t *v, const json_t *of)
{
	double q;

	if (json_is_integer(v) && json_is_integer(of))
		return json_integer_value(v) % json_integer_value(of) == 0;
	q = json_number_value(v) / json_number_value(of);
	/* 0.0075 / 0.0001 is 74.99999999999999. */
	return isfinite(q) &&
	       fabs(q - tool_round(q)) <= 4 * DBL_EPSILON * MAX(1.0, fabs(q));
}

void tool_check_number(struct tool_check *c, const struct tool_schema *s,
		       const json_t *v)
{
	if (s->minimum)
		tool_check_bound(c, v, s->minimum,
				 tool_json_compare_numbers(v, s->minimum) >= 0,
				 "at least");
	if (s->maximum)
		tool_check_bound(c, v, s->maximum,
				 tool_json_compare_numbers(v, s->maximum) <= 0,
				 "at most");
	if (s->above)
		tool_check_bound(c, v, s->above,
				 tool_json_compare_numbers(v, s->above) > 0,
				 "more than");
	if (s->below)
		tool_check_bound(c, v, s->below,
				 tool_json_compare_numbers(v, s->below) < 0,
				 "less than");
	if (s->multiple)
		tool_check_bound(c, v, s->multiple,
				 tool_is_multiple(v, s->multiple),
				 "a multiple of");
}

/* --- strings ------------------------------------------------------------- */

static int64_t tool_count_characters(const char *s, size_t len)
{
	int64_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)s[i] & 0xc0) != 0x80;
	return n;
}

static void tool_check_pattern(struct tool_check *c,
			       const struct tool_pattern *p, const char *s,
			       size_t len)
{
	int r = tool_pattern_match(p, s, len, &c->pattern_budget);

	if (r == TOOL_PATTERN_E_NO_MATCH)
		tool_say(c, "must match the pattern %.120s",
			 tool_pattern_text(p));
	else if (r == TOOL_PATTERN_E_LIMIT)
		tool_say(c,
			 "is too long for the pattern %.120s: matching takes "
			 "too much time",
			 tool_pattern_text(p));
	else if (r < 0)
		c->error = r;
}

void tool_check_count(struct tool_check *c, int64_t n, int64_t min, int64_t max,
		      const char *what)
{
	if (min >= 0 && n < min)
		tool_say(c, "must have at least %lld %s, not %lld",
			 (long long)min, what, (long long)n);
	if (max >= 0 && n > max)
		tool_say(c, "must have at most %lld %s, not %lld",
			 (long long)max, what, (long long)n);
}

void tool_check_string(struct tool_check *c, const struct tool_schema *s,
		       const json_t *v)
{
	const char *text = json_string_value(v);
	size_t len = json_string_length(v);

	if (s->min_length >= 0 || s->max_length >= 0)
		tool_check_count(c, tool_count_characters(text, len),
				 s->min_length, s->max_length, "characters");
	if (s->pattern)
		tool_check_pattern(c, s->pattern, text, len);
	if (s->format && !s->format->check(text, len))
		tool_say(c, "must be %s", s->format->what);
}
