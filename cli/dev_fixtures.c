#include "cli/dev_fixtures.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/token.h"
#include "common/var_key.h"
#include "common/yaml.h"

#define PLACE_MAX_BYTES 512

struct check {
	struct buf *mistakes;
	size_t n;
	bool out_of_memory;
};

struct member {
	const char *name;
	void (*check)(struct check *c, const char *place, const json_t *v);
};

static PRINTF_LIKE(3, 4) void mistake(struct check *c, const char *place,
				      const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (++c->n > DEV_FIXTURES_MISTAKES_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (buf_printf(c->mistakes, "%s: %s\n", place, text) < 0)
		c->out_of_memory = true;
}

/* --- kinds of values ------------------------------------------------------ */

/* Says so where it is not. */
static bool expect_type(struct check *c, const char *place, const json_t *v,
			bool is, const char *what)
{
	if (!is)
		mistake(c, place, "%s is expected, not %s", what,
			json_type_name(v));
	return is;
}

static void check_any(struct check *c, const char *place, const json_t *v)
{
}

static void check_boolean(struct check *c, const char *place, const json_t *v)
{
	expect_type(c, place, v, json_is_boolean(v), "true or false");
}

static void check_condition(struct check *c, const char *place, const json_t *v)
{
	if (!json_is_null(v))
		expect_type(c, place, v, json_is_boolean(v),
			    "true, false or null");
}

static void check_string(struct check *c, const char *place, const json_t *v)
{
	if (expect_type(c, place, v, json_is_string(v), "a string") &&
	    !json_string_length(v))
		mistake(c, place, "it is empty");
}

static void check_list(struct check *c, const char *place, const json_t *v)
{
	expect_type(c, place, v, json_is_array(v), "a list");
}

static void check_mapping(struct check *c, const char *place, const json_t *v)
{
	expect_type(c, place, v, json_is_object(v), "a mapping");
}

static void check_variables(struct check *c, const char *place, const json_t *v)
{
	const char *key;
	json_t *value;

	if (!expect_type(c, place, v, json_is_object(v), "a mapping"))
		return;
	json_object_foreach((json_t *)(uintptr_t)v, key, value)
		if (!var_key_valid(key))
			mistake(c, place,
				"\"%.80s\" is no name of a variable: " VAR_KEY_RULE,
				key);
}

static void check_patterns(struct check *c, const char *place, const json_t *v)
{
	char at[PLACE_MAX_BYTES];
	const json_t *item;
	size_t i;

	if (!expect_type(c, place, v, json_is_array(v), "a list of patterns"))
		return;
	if (json_array_size(v) > TOKEN_PATTERNS_MAX)
		mistake(c, place, "there are %zu patterns; at most %d fit",
			json_array_size(v), TOKEN_PATTERNS_MAX);
	json_array_foreach(v, i, item) {
		snprintf(at, sizeof(at), "%s[%zu]", place, i);
		if (expect_type(c, at, item, json_is_string(item),
				"a string") &&
		    !var_pattern_valid(json_string_value(item)))
			mistake(c, at,
				"\"%.80s\" is no pattern: " VAR_KEY_RULE
				", and *",
				json_string_value(item));
	}
}

/* --- mappings of known members -------------------------------------------- */

static void append_names(char *out, size_t size, const struct member *members,
			 size_t n)
{
	size_t at = 0;

	for (size_t i = 0; i < n && at < size; i++)
		at += (size_t)snprintf(out + at, size - at, "%s%s",
				       i ? ", " : "", members[i].name);
}

/* place "" is the file itself. */
static void check_members(struct check *c, const char *place, const json_t *v,
			  const struct member *members, size_t n)
{
	char at[PLACE_MAX_BYTES], names[400];
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)v, name, value) {
		size_t i = 0;

		while (i < n && strcmp(members[i].name, name))
			i++;
		snprintf(at, sizeof(at), "%s%s%.80s", place, *place ? "." : "",
			 name);
		if (i < n) {
			members[i].check(c, at, value);
			continue;
		}
		append_names(names, sizeof(names), members, n);
		mistake(c, at, "is not known; there are %s", names);
	}
}

static void check_needs(struct check *c, const char *place, const json_t *v,
			const char *name)
{
	if (!json_object_get(v, name))
		mistake(c, place, "\"%s\" is missing", name);
}

/* --- tools ---------------------------------------------------------------- */

static void check_status(struct check *c, const char *place, const json_t *v)
{
	if (expect_type(c, place, v, json_is_integer(v), "a number") &&
	    (json_integer_value(v) < 400 || json_integer_value(v) > 599))
		mistake(c, place, "%lld is no status of an error: 400 to 599",
			(long long)json_integer_value(v));
}

static void check_integer(struct check *c, const char *place, const json_t *v)
{
	expect_type(c, place, v, json_is_integer(v), "a whole number");
}

static void check_error(struct check *c, const char *place, const json_t *v)
{
	static const struct member members[] = {
		{ "status", check_status },
		{ "code", check_string },
		{ "detail", check_string },
		{ "upstream_status", check_integer },
	};

	if (expect_type(c, place, v, json_is_object(v),
			"a mapping of status, code and detail"))
		check_members(c, place, v, members, ARRAY_SIZE(members));
}

static void check_tool(struct check *c, const char *place, const json_t *v)
{
	static const struct member members[] = {
		{ "tool", check_string },    { "action", check_string },
		{ "params", check_mapping }, { "result", check_any },
		{ "error", check_error },
	};

	if (!expect_type(c, place, v, json_is_object(v), "a mapping"))
		return;
	check_members(c, place, v, members, ARRAY_SIZE(members));
	check_needs(c, place, v, "tool");
	check_needs(c, place, v, "action");
	if (!json_object_get(v, "result") == !json_object_get(v, "error"))
		mistake(c, place, "either \"result\" or \"error\" is needed");
}

static void check_each(struct check *c, const char *place, const json_t *v,
		       void (*check)(struct check *c, const char *place,
				     const json_t *v))
{
	char at[PLACE_MAX_BYTES];
	const json_t *item;
	size_t i;

	if (!expect_type(c, place, v, json_is_array(v), "a list"))
		return;
	json_array_foreach(v, i, item) {
		snprintf(at, sizeof(at), "%s[%zu]", place, i);
		check(c, at, item);
	}
}

static void check_tools(struct check *c, const char *place, const json_t *v)
{
	check_each(c, place, v, check_tool);
}

/* --- what is expected ----------------------------------------------------- */

static void check_call(struct check *c, const char *place, const json_t *v)
{
	static const struct member members[] = {
		{ "tool", check_string },
		{ "action", check_string },
		{ "params", check_mapping },
		{ "dry_run", check_boolean },
	};

	if (!expect_type(c, place, v, json_is_object(v), "a mapping"))
		return;
	check_members(c, place, v, members, ARRAY_SIZE(members));
	check_needs(c, place, v, "tool");
	check_needs(c, place, v, "action");
}

static void check_calls(struct check *c, const char *place, const json_t *v)
{
	check_each(c, place, v, check_call);
}

static void check_names(struct check *c, const char *place, const json_t *v)
{
	check_each(c, place, v, check_string);
}

static void check_expect(struct check *c, const char *place, const json_t *v)
{
	static const struct member members[] = {
		{ "exit_code", check_integer },
		{ "output", check_any },
		{ "no_output", check_boolean },
		{ "condition", check_condition },
		{ "variables", check_variables },
		{ "deleted", check_names },
		{ "output_stream", check_list },
		{ "tool_calls", check_calls },
	};

	if (expect_type(c, place, v, json_is_object(v), "a mapping"))
		check_members(c, place, v, members, ARRAY_SIZE(members));
	if (json_object_get(v, "output") &&
	    json_is_true(json_object_get(v, "no_output")))
		mistake(c, place,
			"\"output\" and \"no_output\" contradict "
			"each other");
}

/* --- the file ------------------------------------------------------------- */

static const char *const ends[] = {
	[DEV_STREAM_ENDED] = "ended",
	[DEV_STREAM_OPEN] = "open",
	[DEV_STREAM_BROKEN] = "broken",
};

static void check_end(struct check *c, const char *place, const json_t *v)
{
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (json_is_string(v) && !strcmp(json_string_value(v), ends[i]))
			return;
	mistake(c, place, "ended, open or broken is expected");
}

static void check_both(struct check *c, const json_t *doc)
{
	const json_t *secrets = json_object_get(doc, "secrets");
	const char *key;
	json_t *value;

	json_object_foreach(json_object_get(doc, "variables"), key, value)
		if (json_object_get(secrets, key))
			mistake(c, "secrets",
				"\"%.80s\" is among the variables as well",
				key);
}

static void take(struct dev_fixtures *f)
{
	const char *end = json_get_str(f->doc, "input_stream_end", "ended");

	f->input = json_object_get(f->doc, "input");
	f->variables = json_object_get(f->doc, "variables");
	f->secrets = json_object_get(f->doc, "secrets");
	f->condition = json_object_get(f->doc, "condition");
	if (json_is_null(f->condition))
		f->condition = NULL;
	f->context = json_object_get(f->doc, "context");
	f->input_stream = json_object_get(f->doc, "input_stream");
	f->tools = json_object_get(f->doc, "tools");
	f->vars_read = json_object_get(f->doc, "vars_read");
	f->vars_write = json_object_get(f->doc, "vars_write");
	f->tools_allowed = json_object_get(f->doc, "tools_allowed");
	f->expect = json_object_get(f->doc, "expect");
	f->read_only = json_get_bool(f->doc, "read_only", false);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (!strcmp(end, ends[i]))
			f->input_stream_end = (enum dev_stream_end)i;
}

static void check_file(struct check *c, const json_t *doc)
{
	static const struct member members[] = {
		{ "input", check_any },
		{ "variables", check_variables },
		{ "secrets", check_variables },
		{ "condition", check_condition },
		{ "context", check_mapping },
		{ "input_stream", check_list },
		{ "input_stream_end", check_end },
		{ "tools", check_tools },
		{ "vars_read", check_patterns },
		{ "vars_write", check_patterns },
		{ "tools_allowed", check_patterns },
		{ "read_only", check_boolean },
		{ "expect", check_expect },
	};

	if (!json_is_object(doc)) {
		mistake(c, "the file", "a mapping is expected, not %s",
			json_type_name(doc));
		return;
	}
	check_members(c, "", doc, members, ARRAY_SIZE(members));
	check_both(c, doc);
}

int dev_fixtures_parse(struct dev_fixtures *out, const char *name,
		       const void *text, size_t len, struct buf *mistakes)
{
	char err[YAML_ERROR_MAX_BYTES] = "out of memory";
	struct check c = { .mistakes = mistakes };

	*out = (struct dev_fixtures){
		.doc = len ? yaml_parse_named(name, text, len, err, sizeof(err))
			   : json_object(),
	};
	if (!out->doc)
		return buf_printf(mistakes, "%s\n", err) < 0 ? -ENOMEM
							     : -EINVAL;
	if (json_is_null(out->doc)) { /* nothing but comments */
		json_decref(out->doc);
		out->doc = json_object();
	}
	if (!out->doc)
		return -ENOMEM;
	check_file(&c, out->doc);
	if (c.n > DEV_FIXTURES_MISTAKES_MAX &&
	    buf_printf(mistakes, "and %zu more\n",
		       c.n - DEV_FIXTURES_MISTAKES_MAX) < 0)
		c.out_of_memory = true;
	if (c.out_of_memory || c.n) {
		dev_fixtures_deinit(out);
		return c.out_of_memory ? -ENOMEM : -EINVAL;
	}
	take(out);
	return 0;
}

void dev_fixtures_deinit(struct dev_fixtures *f)
{
	json_decref(f->doc);
	*f = (struct dev_fixtures){ 0 };
}
