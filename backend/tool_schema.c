#include "backend/tool_schema.h"

#include <stdlib.h>
#include <string.h>

#include "backend/tool_pattern.h"
#include "backend/tool_schema_impl.h"

static void tool_schema_list_free(struct tool_schema_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		tool_schema_free(l->items[i]);
	free(l->items);
}

static void tool_schema_members_free(struct tool_schema_member *m, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(m[i].name);
		tool_pattern_free(m[i].pattern);
		tool_schema_free(m[i].schema);
	}
	free(m);
}

void tool_schema_free(struct tool_schema *s)
{
	if (!s)
		return;
	json_decref(s->choices);
	json_decref(s->constant);
	json_decref(s->fallback);
	json_decref(s->minimum);
	json_decref(s->maximum);
	json_decref(s->above);
	json_decref(s->below);
	json_decref(s->multiple);
	json_decref(s->required);
	tool_pattern_free(s->pattern);
	tool_schema_list_free(&s->prefix);
	tool_schema_free(s->items);
	tool_schema_members_free(s->members, s->n_members);
	tool_schema_members_free(s->patterns, s->n_patterns);
	tool_schema_free(s->additional);
	tool_schema_list_free(&s->all);
	tool_schema_list_free(&s->any);
	tool_schema_list_free(&s->one);
	tool_schema_free(s->negated);
	free(s);
}

const struct tool_schema *tool_schema_member(const struct tool_schema *s,
					     const char *name)
{
	for (size_t i = 0; i < s->n_members; i++)
		if (!strcmp(s->members[i].name, name))
			return s->members[i].schema;
	return NULL;
}

/* --- what a value can have ----------------------------------------------- */

enum tool_schema_answer {
	TOOL_SCHEMA_UNKNOWN, /* it says nothing about that */
	TOOL_SCHEMA_NO,
	TOOL_SCHEMA_YES,
};

static enum tool_schema_answer tool_schema_ask(const struct tool_schema *s,
					       char *const *names, size_t n);

/* Of a part that is there: what it does not say anything about can be. */
static enum tool_schema_answer tool_schema_ask_part(const struct tool_schema *s,
						    char *const *names,
						    size_t n)
{
	return tool_schema_ask(s, names, n) == TOOL_SCHEMA_NO ? TOOL_SCHEMA_NO
							      : TOOL_SCHEMA_YES;
}

static enum tool_schema_answer tool_schema_ask_item(const struct tool_schema *s,
						    char *const *names,
						    size_t n)
{
	char *end;
	unsigned long index = strtoul(names[0], &end, 10);

	if (*end || names[0][0] < '0' || names[0][0] > '9')
		return TOOL_SCHEMA_UNKNOWN;
	if (index < s->prefix.n)
		return tool_schema_ask_part(s->prefix.items[index], names + 1,
					    n - 1);
	return s->items ? tool_schema_ask_part(s->items, names + 1, n - 1)
			: TOOL_SCHEMA_UNKNOWN;
}

static enum tool_schema_answer tool_schema_ask_member(
	const struct tool_schema *s, char *const *names, size_t n)
{
	const struct tool_schema *m = tool_schema_member(s, names[0]);

	if (m)
		return tool_schema_ask_part(m, names + 1, n - 1);
	if (s->n_patterns > 0)
		return TOOL_SCHEMA_YES;
	if (s->additional)
		return tool_schema_ask_part(s->additional, names + 1, n - 1);
	return s->has_members ? TOOL_SCHEMA_NO : TOOL_SCHEMA_UNKNOWN;
}

static enum tool_schema_answer tool_schema_ask_list(
	const struct tool_schema_list *l, char *const *names, size_t n)
{
	enum tool_schema_answer best = TOOL_SCHEMA_UNKNOWN;

	for (size_t i = 0; i < l->n; i++) {
		enum tool_schema_answer a = tool_schema_ask(l->items[i], names,
							    n);

		best = MAX(best, a);
	}
	return best;
}

static enum tool_schema_answer tool_schema_ask(const struct tool_schema *s,
					       char *const *names, size_t n)
{
	enum tool_schema_answer best, a;

	if (s->never)
		return TOOL_SCHEMA_NO;
	if (n == 0)
		return TOOL_SCHEMA_YES;
	if (s->types && !(s->types & (TOOL_TYPE_ARRAY | TOOL_TYPE_OBJECT)))
		return TOOL_SCHEMA_NO;
	best = tool_schema_ask_member(s, names, n);
	a = tool_schema_ask_item(s, names, n);
	best = MAX(best, a);
	a = tool_schema_ask_list(&s->all, names, n);
	best = MAX(best, a);
	a = tool_schema_ask_list(&s->any, names, n);
	best = MAX(best, a);
	a = tool_schema_ask_list(&s->one, names, n);
	return MAX(best, a);
}

bool tool_schema_has(const struct tool_schema *s, char *const *names, size_t n)
{
	return tool_schema_ask(s, names, n) != TOOL_SCHEMA_NO;
}
