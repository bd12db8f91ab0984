#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/tool_format.h"
#include "backend/tool_pattern.h"
#include "backend/tool_schema.h"
#include "backend/tool_schema_compile_impl.h"
#include "backend/tool_schema_impl.h"
#include "backend/tool_violations.h"
#include "common/json.h"

struct tool_keyword {
	const char *name;
	tool_keyword_fn *read;
};

static struct tool_schema *tool_schema_read(struct tool_schema_compile *parent,
					    const json_t *source);

void tool_schema_expected(struct tool_schema_compile *c, const char *what,
			  const json_t *v)
{
	tool_violations_add(c->violations, c->path->text, "must be %s, not %s",
			    what, json_type_name(v));
}

static void *tool_schema_alloc(struct tool_schema_compile *c, size_t n,
			       size_t size)
{
	void *p = calloc(MAX(n, (size_t)1), size);

	if (!p)
		c->error = -ENOMEM;
	return p;
}

/* --- values of any type -------------------------------------------------- */

static unsigned int tool_type_bit(const char *name)
{
	static const char *const names[] = { "null",   "boolean", "integer",
					     "number", "string",  "array",
					     "object" };

	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], name))
			return 1U << i;
	return 0;
}

static void tool_read_type_name(struct tool_schema_compile *c, const json_t *v)
{
	unsigned int bit = 0;

	if (json_is_string(v))
		bit = tool_type_bit(json_string_value(v));
	if (json_is_string(v) && !bit)
		tool_violations_add(c->violations, c->path->text,
				    "must be " TOOL_TYPE_NAMES
				    ", not \"%.40s\"",
				    json_string_value(v));
	else if (!bit)
		tool_schema_expected(c, TOOL_TYPE_NAMES, v);
	c->schema->types |= bit;
}

static void tool_read_type(struct tool_schema_compile *c, const json_t *v)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(v)) {
		tool_read_type_name(c, v);
		return;
	}
	if (json_array_size(v) == 0 || json_array_size(v) > 7)
		tool_violations_add(c->violations, c->path->text,
				    "must list 1 to 7 types");
	json_array_foreach(v, i, item)
		tool_read_type_name(c, item);
}

/* True for a list of min to TOOL_SCHEMA_MEMBERS_MAX items. */
static bool tool_check_list(struct tool_schema_compile *c, const json_t *v,
			    size_t min)
{
	if (!json_is_array(v))
		tool_schema_expected(c, "a list", v);
	else if (json_array_size(v) < min ||
		 json_array_size(v) > TOOL_SCHEMA_MEMBERS_MAX)
		tool_violations_add(c->violations, c->path->text,
				    "must have %zu to %d items, not %zu", min,
				    TOOL_SCHEMA_MEMBERS_MAX,
				    json_array_size(v));
	else
		return true;
	return false;
}

static void tool_read_enum(struct tool_schema_compile *c, const json_t *v)
{
	if (tool_check_list(c, v, 1))
		c->schema->choices = json_incref((json_t *)v);
}

static void tool_read_const(struct tool_schema_compile *c, const json_t *v)
{
	c->schema->constant = json_incref((json_t *)v);
}

static void tool_read_default(struct tool_schema_compile *c, const json_t *v)
{
	if (json_dumpb(v, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY) >
	    TOOL_SCHEMA_DEFAULT_MAX_BYTES)
		tool_violations_add(c->violations, c->path->text,
				    "must have at most %d bytes",
				    TOOL_SCHEMA_DEFAULT_MAX_BYTES);
	else
		c->schema->fallback = json_incref((json_t *)v);
}

/* --- arrays -------------------------------------------------------------- */

static void tool_read_items(struct tool_schema_compile *c, const json_t *v)
{
	c->schema->items = tool_schema_read(c, v);
}

static void tool_read_list(struct tool_schema_compile *c, const json_t *v,
			   struct tool_schema_list *l)
{
	const json_t *item;
	size_t i;

	if (!tool_check_list(c, v, 1))
		return;
	l->items = tool_schema_alloc(c, json_array_size(v), sizeof(*l->items));
	if (!l->items)
		return;
	json_array_foreach(v, i, item) {
		size_t before = tool_path_push_index(c->path, i);
		struct tool_schema *s = tool_schema_read(c, item);

		tool_path_pop(c->path, before);
		if (s)
			l->items[l->n++] = s;
	}
}

static void tool_read_prefix(struct tool_schema_compile *c, const json_t *v)
{
	tool_read_list(c, v, &c->schema->prefix);
}

static void tool_read_unique(struct tool_schema_compile *c, const json_t *v)
{
	if (!json_is_boolean(v))
		tool_schema_expected(c, "true or false", v);
	c->schema->unique = json_is_true(v);
}

/* --- objects ------------------------------------------------------------- */

static bool tool_check_members(struct tool_schema_compile *c, const json_t *v)
{
	if (!json_is_object(v))
		tool_schema_expected(c, "an object", v);
	else if (json_object_size(v) > TOOL_SCHEMA_MEMBERS_MAX)
		tool_violations_add(c->violations, c->path->text,
				    "must have at most %d members, not %zu",
				    TOOL_SCHEMA_MEMBERS_MAX,
				    json_object_size(v));
	else
		return true;
	return false;
}

static void tool_read_members(struct tool_schema_compile *c, const json_t *v,
			      bool patterns, struct tool_schema_member **out,
			      size_t *n)
{
	const char *name;
	json_t *source;

	if (!tool_check_members(c, v))
		return;
	*out = tool_schema_alloc(c, json_object_size(v), sizeof(**out));
	if (!*out)
		return;
	json_object_foreach((json_t *)v, name, source) {
		size_t before = tool_path_push(c->path, name);
		struct tool_schema_member *m = &(*out)[*n];

		m->name = strdup(name);
		if (!m->name)
			c->error = -ENOMEM;
		m->pattern = patterns ? tool_take_pattern(c, name) : NULL;
		m->schema = tool_schema_read(c, source);
		++*n;
		tool_path_pop(c->path, before);
	}
}

static void tool_read_properties(struct tool_schema_compile *c, const json_t *v)
{
	c->schema->has_members = true;
	tool_read_members(c, v, false, &c->schema->members,
			  &c->schema->n_members);
}

static void tool_read_patterns(struct tool_schema_compile *c, const json_t *v)
{
	tool_read_members(c, v, true, &c->schema->patterns,
			  &c->schema->n_patterns);
}

static void tool_read_required(struct tool_schema_compile *c, const json_t *v)
{
	const json_t *item;
	size_t i;

	if (!tool_check_list(c, v, 0))
		return;
	json_array_foreach(v, i, item) {
		if (json_is_string(item))
			continue;
		tool_schema_expected(c, "a list of strings", item);
		return;
	}
	c->schema->required = json_incref((json_t *)v);
}

static void tool_read_additional(struct tool_schema_compile *c, const json_t *v)
{
	c->schema->additional = tool_schema_read(c, v);
}

/* --- schemas of schemas -------------------------------------------------- */

static void tool_read_all(struct tool_schema_compile *c, const json_t *v)
{
	tool_read_list(c, v, &c->schema->all);
}

static void tool_read_any(struct tool_schema_compile *c, const json_t *v)
{
	tool_read_list(c, v, &c->schema->any);
}

static void tool_read_one(struct tool_schema_compile *c, const json_t *v)
{
	tool_read_list(c, v, &c->schema->one);
}

static void tool_read_not(struct tool_schema_compile *c, const json_t *v)
{
	c->schema->negated = tool_schema_read(c, v);
}

static void tool_read_text(struct tool_schema_compile *c, const json_t *v)
{
	if (!json_is_string(v))
		tool_schema_expected(c, "a string", v);
}

static void tool_read_examples(struct tool_schema_compile *c, const json_t *v)
{
	if (!json_is_array(v))
		tool_schema_expected(c, "a list", v);
}

static const struct tool_keyword tool_keywords[] = {
	{ "type", tool_read_type },
	{ "enum", tool_read_enum },
	{ "const", tool_read_const },
	{ "default", tool_read_default },
	{ "minimum", tool_read_minimum },
	{ "maximum", tool_read_maximum },
	{ "exclusiveMinimum", tool_read_above },
	{ "exclusiveMaximum", tool_read_below },
	{ "multipleOf", tool_read_multiple },
	{ "minLength", tool_read_min_length },
	{ "maxLength", tool_read_max_length },
	{ "pattern", tool_read_pattern },
	{ "format", tool_read_format },
	{ "items", tool_read_items },
	{ "prefixItems", tool_read_prefix },
	{ "minItems", tool_read_min_items },
	{ "maxItems", tool_read_max_items },
	{ "uniqueItems", tool_read_unique },
	{ "properties", tool_read_properties },
	{ "patternProperties", tool_read_patterns },
	{ "additionalProperties", tool_read_additional },
	{ "required", tool_read_required },
	{ "minProperties", tool_read_min_properties },
	{ "maxProperties", tool_read_max_properties },
	{ "allOf", tool_read_all },
	{ "anyOf", tool_read_any },
	{ "oneOf", tool_read_one },
	{ "not", tool_read_not },
	{ "title", tool_read_text },
	{ "description", tool_read_text },
	{ "$comment", tool_read_text },
	{ "examples", tool_read_examples },
};

static void tool_schema_read_keyword(struct tool_schema_compile *c,
				     const char *name, const json_t *v)
{
	size_t before = tool_path_push(c->path, name);
	size_t i = 0;

	while (i < ARRAY_SIZE(tool_keywords) &&
	       strcmp(tool_keywords[i].name, name) != 0)
		i++;
	if (i < ARRAY_SIZE(tool_keywords))
		tool_keywords[i].read(c, v);
	else
		tool_violations_add(c->violations, c->path->text,
				    "is not a keyword that is enforced here "
				    "(docs/tools.md lists those that are)");
	tool_path_pop(c->path, before);
}

/* A default that its own schema refuses would fail every call. */
static void tool_schema_check_default(struct tool_schema_compile *c)
{
	struct tool_violations why = { 0 };
	struct tool_schema *s = c->schema;
	json_t *filled = NULL;
	size_t before;
	int r;

	if (!s->fallback || c->error || c->violations->found)
		return;
	r = tool_schema_check(s, s->fallback, &why, &filled);
	before = tool_path_push(c->path, "default");
	if (r == TOOL_E_INVALID)
		tool_violations_add(c->violations, c->path->text, "%.200s",
				    json_string_value(json_object_get(
					    json_array_get(why.list, 0),
					    "message")));
	else if (r < 0)
		c->error = r;
	tool_path_pop(c->path, before);
	tool_violations_deinit(&why);
	if (filled) {
		json_decref(s->fallback);
		s->fallback = filled;
	}
}

static void tool_schema_read_object(struct tool_schema_compile *c,
				    const json_t *source)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)source, name, v)
		tool_schema_read_keyword(c, name, v);
	tool_schema_check_default(c);
}

/* NULL only for want of memory. */
static struct tool_schema *tool_schema_new(struct tool_schema_compile *c)
{
	struct tool_schema *s = tool_schema_alloc(c, 1, sizeof(*s));

	if (!s)
		return NULL;
	s->min_length = s->max_length = -1;
	s->min_items = s->max_items = -1;
	s->min_properties = s->max_properties = -1;
	return s;
}

static struct tool_schema *tool_schema_read(struct tool_schema_compile *parent,
					    const json_t *source)
{
	struct tool_schema_compile c = *parent;

	c.schema = tool_schema_new(&c);
	c.depth++;
	if (!c.schema) {
		parent->error = c.error;
		return NULL;
	}
	if (c.depth > TOOL_SCHEMA_DEPTH_MAX)
		tool_violations_add(c.violations, c.path->text,
				    "is nested more than %d deep",
				    TOOL_SCHEMA_DEPTH_MAX);
	else if (json_is_object(source))
		tool_schema_read_object(&c, source);
	else if (json_is_boolean(source))
		c.schema->never = json_is_false(source);
	else
		tool_schema_expected(&c, "a schema (an object, true or false)",
				     source);
	parent->error = c.error;
	return c.schema;
}

int tool_schema_compile(const json_t *source, struct tool_path *path,
			struct tool_violations *v, struct tool_schema **out)
{
	struct tool_schema_compile c = { .path = path, .violations = v };
	size_t before = v->found;
	struct tool_schema *s = tool_schema_read(&c, source);

	if (!c.error)
		c.error = v->error;
	if (!c.error && v->found == before) {
		*out = s;
		return 0;
	}
	tool_schema_free(s);
	return c.error ? c.error : TOOL_E_INVALID;
}
