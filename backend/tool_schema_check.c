#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/tool_json.h"
#include "backend/tool_pattern.h"
#include "backend/tool_schema_check_impl.h"
#include "common/json.h"

static void tool_check_value(struct tool_check *c, const struct tool_schema *s,
			     const json_t *v);

/* --- arrays -------------------------------------------------------------- */

static void tool_check_unique(struct tool_check *c, const json_t *v)
{
	size_t n = json_array_size(v);

	if (n > TOOL_SCHEMA_UNIQUE_MAX_ITEMS) {
		tool_say(c, "must have at most %d items, not %zu",
			 TOOL_SCHEMA_UNIQUE_MAX_ITEMS, n);
		return;
	}
	for (size_t i = 1; i < n; i++)
		for (size_t k = 0; k < i; k++) {
			if (!tool_json_equal(json_array_get(v, i),
					     json_array_get(v, k)))
				continue;
			tool_say(c,
				 "must not have an item twice, as %zu and "
				 "%zu are",
				 k, i);
			return;
		}
}

static void tool_check_array(struct tool_check *c, const struct tool_schema *s,
			     const json_t *v)
{
	const json_t *item;
	size_t i;

	tool_check_count(c, (int64_t)json_array_size(v), s->min_items,
			 s->max_items, "items");
	if (s->unique)
		tool_check_unique(c, v);
	if (!s->items && s->prefix.n == 0)
		return;
	json_array_foreach(v, i, item) {
		const struct tool_schema *part = i < s->prefix.n
							 ? s->prefix.items[i]
							 : s->items;
		size_t before = tool_path_push_index(&c->path, i);

		if (part && c->steps > 0)
			tool_check_value(c, part, item);
		tool_path_pop(&c->path, before);
	}
}

/* --- objects ------------------------------------------------------------- */

static void tool_say_unknown(struct tool_check *c, const struct tool_schema *s)
{
	char known[256] = "";
	size_t len = 0;

	for (size_t i = 0; i < s->n_members; i++) {
		const char *name = s->members[i].name;

		if (len + strlen(name) + 8 >= sizeof(known)) {
			strcpy(known + len, ", …");
			break;
		}
		len += (size_t)snprintf(known + len, sizeof(known) - len,
					"%s%s", i ? ", " : "", name);
	}
	if (s->n_members > 0)
		tool_say(c, "is not known here; known are %s", known);
	else
		tool_say(c, "is not known here");
}

static bool tool_check_patterns(struct tool_check *c,
				const struct tool_schema *s, const char *name,
				const json_t *v)
{
	bool found = false;

	for (size_t i = 0; i < s->n_patterns; i++) {
		int r = tool_pattern_match(s->patterns[i].pattern, name,
					   strlen(name), &c->pattern_budget);

		if (r < 0)
			c->error = r;
		else if (r == TOOL_PATTERN_E_LIMIT)
			tool_say(c, "takes too much time to match");
		else if (r == 0)
			tool_check_value(c, s->patterns[i].schema, v);
		found = found || r == 0;
	}
	return found;
}

static void tool_check_member(struct tool_check *c, const struct tool_schema *s,
			      const char *name, const json_t *v)
{
	const struct tool_schema *m = tool_schema_member(s, name);

	if (m)
		tool_check_value(c, m, v);
	if (tool_check_patterns(c, s, name, v) || m || !s->additional)
		return;
	if (s->additional->never)
		tool_say_unknown(c, s);
	else
		tool_check_value(c, s->additional, v);
}

static void tool_check_object(struct tool_check *c, const struct tool_schema *s,
			      const json_t *v)
{
	const json_t *item;
	const char *name;
	json_t *member;
	size_t i, before;

	tool_check_count(c, (int64_t)json_object_size(v), s->min_properties,
			 s->max_properties, "members");
	json_array_foreach(s->required, i, item) {
		if (json_object_get(v, json_string_value(item)))
			continue;
		before = tool_path_push(&c->path, json_string_value(item));
		tool_say(c, "is required");
		tool_path_pop(&c->path, before);
	}
	json_object_foreach((json_t *)v, name, member) {
		before = tool_path_push(&c->path, name);
		if (c->steps > 0)
			tool_check_member(c, s, name, member);
		tool_path_pop(&c->path, before);
	}
}

/* --- schemas of schemas -------------------------------------------------- */

/* Whether v fits s; what speaks against it first goes to why. */
static bool tool_check_quietly(struct tool_check *c,
			       const struct tool_schema *s, const json_t *v,
			       char *why, size_t why_size)
{
	struct tool_violations *outer = c->violations, inner = { 0 };
	const json_t *first;
	bool ok;

	c->violations = &inner;
	tool_check_value(c, s, v);
	c->violations = outer;
	ok = inner.found == 0;
	if (inner.error)
		c->error = inner.error;
	first = json_array_get(inner.list, 0);
	if (why)
		snprintf(why, why_size, "%.60s%s%.120s",
			 json_get_str(first, "path", ""),
			 *json_get_str(first, "path", "") ? ": " : "",
			 json_get_str(first, "message", ""));
	tool_violations_deinit(&inner);
	return ok;
}

/* How many of the list fit; why says of the first what speaks against it. */
static size_t tool_check_count_fits(struct tool_check *c,
				    const struct tool_schema_list *l,
				    const json_t *v, size_t enough, char *why,
				    size_t why_size)
{
	size_t fits = 0, len = 0;

	why[0] = '\0';
	for (size_t i = 0; i < l->n && fits < enough; i++) {
		char one[192];

		if (tool_check_quietly(c, l->items[i], v, one, sizeof(one))) {
			fits++;
			continue;
		}
		if (len + strlen(one) + 8 < why_size)
			len += (size_t)snprintf(why + len, why_size - len,
						"%s%s", len ? "; or " : "",
						one);
	}
	return fits;
}

static void tool_check_combined(struct tool_check *c,
				const struct tool_schema *s, const json_t *v)
{
	char why[400];
	size_t n;

	for (size_t i = 0; i < s->all.n; i++)
		tool_check_value(c, s->all.items[i], v);
	if (s->any.n > 0 &&
	    tool_check_count_fits(c, &s->any, v, 1, why, sizeof(why)) == 0)
		tool_say(c, "fits none of the %zu possibilities: %s", s->any.n,
			 why);
	if (s->one.n > 0) {
		n = tool_check_count_fits(c, &s->one, v, 2, why, sizeof(why));
		if (n == 0)
			tool_say(c, "fits none of the %zu possibilities: %s",
				 s->one.n, why);
		else if (n > 1)
			tool_say(c,
				 "fits more than one of the %zu possibilities "
				 "that exclude each other",
				 s->one.n);
	}
	if (s->negated && tool_check_quietly(c, s->negated, v, NULL, 0))
		tool_say(c, "is what the schema's not excludes");
}

static void tool_check_value(struct tool_check *c, const struct tool_schema *s,
			     const json_t *v)
{
	if (c->error || !tool_spend(c, 1))
		return;
	if (s->never) {
		tool_say(c, "must not be there");
		return;
	}
	tool_check_choices(c, s, v);
	if (tool_check_type(c, s, v)) {
		if (json_is_number(v))
			tool_check_number(c, s, v);
		else if (json_is_string(v))
			tool_check_string(c, s, v);
		else if (json_is_array(v))
			tool_check_array(c, s, v);
		else if (json_is_object(v))
			tool_check_object(c, s, v);
	}
	tool_check_combined(c, s, v);
}

/* --- defaults ------------------------------------------------------------ */

static void tool_fill(struct tool_check *c, const struct tool_schema *s,
		      json_t *v);

static void tool_fill_object(struct tool_check *c, const struct tool_schema *s,
			     json_t *v)
{
	if (!tool_spend(c, s->n_members))
		return;
	for (size_t i = 0; i < s->n_members && !c->error; i++) {
		const struct tool_schema_member *m = &s->members[i];
		json_t *had = json_object_get(v, m->name);

		if (had)
			tool_fill(c, m->schema, had);
		else if (m->schema->fallback &&
			 tool_spend(c, TOOL_SCHEMA_DEFAULT_COST) &&
			 json_object_set_new(v, m->name,
					     json_deep_copy(
						     m->schema->fallback)))
			c->error = -ENOMEM;
	}
}

static void tool_fill(struct tool_check *c, const struct tool_schema *s,
		      json_t *v)
{
	json_t *item;
	size_t i;

	if (c->error || !tool_spend(c, 1))
		return;
	if (json_is_object(v))
		tool_fill_object(c, s, v);
	json_array_foreach(v, i, item) {
		const struct tool_schema *part = i < s->prefix.n
							 ? s->prefix.items[i]
							 : s->items;

		if (part)
			tool_fill(c, part, item);
	}
	for (i = 0; i < s->all.n; i++)
		tool_fill(c, s->all.items[i], v);
}

int tool_schema_check(const struct tool_schema *s, const json_t *value,
		      struct tool_violations *v, json_t **out)
{
	struct tool_check c = {
		.violations = v,
		.steps = TOOL_SCHEMA_CHECKS_MAX,
		.pattern_budget = TOOL_PATTERN_BUDGET,
	};
	_cleanup_json_ json_t *copy = json_deep_copy(value);
	size_t before = v->found;

	if (!copy)
		return -ENOMEM;
	tool_path_init(&c.path, "");
	tool_fill(&c, s, copy);
	tool_check_value(&c, s, copy);
	if (c.error || v->error)
		return c.error ? c.error : v->error;
	if (v->found != before)
		return TOOL_E_INVALID;
	if (out)
		*out = json_incref(copy);
	return 0;
}
