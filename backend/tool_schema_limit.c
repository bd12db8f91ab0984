/* Keywords of numbers, strings, and how many there may be of something. */
#include <errno.h>

#include "backend/tool_format.h"
#include "backend/tool_pattern.h"
#include "backend/tool_schema_compile_impl.h"
#include "backend/tool_schema_impl.h"
#include "backend/tool_violations.h"
#include "common/json.h"

/* --- numbers ------------------------------------------------------------- */

static json_t *tool_take_number(struct tool_schema_compile *c, const json_t *v)
{
	if (json_is_number(v))
		return json_incref((json_t *)v);
	tool_schema_expected(c, "a number", v);
	return NULL;
}

void tool_read_minimum(struct tool_schema_compile *c, const json_t *v)
{
	c->schema->minimum = tool_take_number(c, v);
}

void tool_read_maximum(struct tool_schema_compile *c, const json_t *v)
{
	c->schema->maximum = tool_take_number(c, v);
}

void tool_read_above(struct tool_schema_compile *c, const json_t *v)
{
	c->schema->above = tool_take_number(c, v);
}

void tool_read_below(struct tool_schema_compile *c, const json_t *v)
{
	c->schema->below = tool_take_number(c, v);
}

void tool_read_multiple(struct tool_schema_compile *c, const json_t *v)
{
	if (json_is_number(v) && json_number_value(v) <= 0)
		tool_violations_add(c->violations, c->path->text,
				    "must be more than 0");
	else
		c->schema->multiple = tool_take_number(c, v);
}

/* --- bounds -------------------------------------------------------------- */

static int64_t tool_take_count(struct tool_schema_compile *c, const json_t *v)
{
	if (json_is_integer(v) && json_integer_value(v) >= 0)
		return json_integer_value(v);
	if (json_is_number(v))
		tool_violations_add(c->violations, c->path->text,
				    "must be a whole number, 0 or more");
	else
		tool_schema_expected(c, "a number", v);
	return -1;
}

void tool_read_min_length(struct tool_schema_compile *c, const json_t *v)
{
	c->schema->min_length = tool_take_count(c, v);
}

void tool_read_max_length(struct tool_schema_compile *c, const json_t *v)
{
	c->schema->max_length = tool_take_count(c, v);
}

void tool_read_min_items(struct tool_schema_compile *c, const json_t *v)
{
	c->schema->min_items = tool_take_count(c, v);
}

void tool_read_max_items(struct tool_schema_compile *c, const json_t *v)
{
	c->schema->max_items = tool_take_count(c, v);
}

void tool_read_min_properties(struct tool_schema_compile *c, const json_t *v)
{
	c->schema->min_properties = tool_take_count(c, v);
}

void tool_read_max_properties(struct tool_schema_compile *c, const json_t *v)
{
	c->schema->max_properties = tool_take_count(c, v);
}

/* --- strings ------------------------------------------------------------- */

struct tool_pattern *tool_take_pattern(struct tool_schema_compile *c,
				       const char *text)
{
	char err[TOOL_PATTERN_ERROR_MAX_BYTES];
	struct tool_pattern *p = tool_pattern_new(text, err, sizeof(err));

	if (!p && err[0])
		tool_violations_add(c->violations, c->path->text,
				    "the pattern \"%.60s\" is wrong: %s", text,
				    err);
	else if (!p)
		c->error = -ENOMEM;
	return p;
}

void tool_read_pattern(struct tool_schema_compile *c, const json_t *v)
{
	if (json_is_string(v))
		c->schema->pattern = tool_take_pattern(c, json_string_value(v));
	else
		tool_schema_expected(c, "a string", v);
}

void tool_read_format(struct tool_schema_compile *c, const json_t *v)
{
	const char *name = json_string_value(v);

	c->schema->format = name ? tool_format_find(name) : NULL;
	if (!c->schema->format)
		tool_violations_add(c->violations, c->path->text,
				    "must be one of " TOOL_FORMAT_NAMES
				    ", not %.40s",
				    name ? name : json_type_name(v));
}
