/* Node: what is awaited, and the functions that become async for it. */
#include <string.h>

#include "cli/migrate_node_impl.h"

/* --- who has become async ------------------------------------------------- */

void node_note_left(struct node *n, size_t i, const char *why)
{
	migrate_say(n->m, node_offset(n, i), true,
		    "this call is left, because %s: it has to be awaited", why);
}

/* Callbacks that nobody takes a result of. */
static bool is_callback_of_events(const struct node *n,
				  const struct node_function *f)
{
	static const char *const names[] = {
		"then",
		"catch",
		"finally",
		"setTimeout",
		"setInterval",
		"setImmediate",
		"nextTick",
		"on",
		"once",
		"addListener",
		"addEventListener",
		"queueMicrotask",
	};
	size_t callee = node_callee_of(n, f);

	for (size_t k = 0; callee != NODE_NONE && k < ARRAY_SIZE(names); k++)
		if (node_is(n, callee, names[k]))
			return true;
	return false;
}

static bool is_declared_twice(const struct node *n, size_t name)
{
	static const char *const words[] = { "function", "const", "let", "var",
					     "class" };
	size_t seen = 0;

	for (size_t i = 1; i < n->t.n; i++)
		for (size_t k = 0;
		     node_same(n, i, name) && k < ARRAY_SIZE(words); k++)
			seen += node_is(n, i - 1, words[k]);
	return seen > 1;
}

/* Calls of a function that has become async. */
static void await_callers(struct node *n, const struct node_function *f)
{
	size_t name = f->name;

	for (size_t i = 0; i < n->t.n; i++) {
		if (i == name || !node_same(n, i, name) ||
		    (i && (node_is(n, i - 1, ".") ||
			   node_is(n, i - 1, "function"))) ||
		    node_is(n, i + 1, ":"))
			continue;
		if (node_is(n, i + 1, "(") && n->match[i + 1] != NODE_NONE)
			node_await(n, i, n->match[i + 1]);
		else if (!node_is(n, i + 1, "="))
			migrate_say(n->m, node_offset(n, i), true,
				    "%.*s has become async, and is handed on: "
				    "whoever calls it has to await it",
				    (int)node_token(n, i)->len,
				    n->t.text + node_offset(n, i));
	}
}

static const char *why_never(const struct node *n,
			     const struct node_function *f)
{
	if (f->is_generator)
		return "a generator cannot become async unseen";
	if (f->is_special)
		return "a constructor, getter or setter cannot be async";
	if (f->head == NODE_NONE)
		return "the function around it has a form that is not "
		       "understood";
	if (f->name != NODE_NONE && is_declared_twice(n, f->name))
		return "the function around it has a name that is declared "
		       "more than once";
	if (f->name == NODE_NONE && !f->is_method && !node_is_immediate(n, f) &&
	    !is_callback_of_events(n, f))
		return "what is done with the function around it cannot be "
		       "seen";
	return NULL;
}

/* What follows from f's becoming async. */
static void spread(struct node *n, const struct node_function *f)
{
	size_t begin = f->head;

	if (f->name != NODE_NONE)
		await_callers(n, f);
	else if (node_is_immediate(n, f))
		node_await(n, begin - 1, n->match[f->end + 2]);
	else if (f->is_method)
		migrate_say(n->m, node_offset(n, f->head), true,
			    "this function has become async: whoever calls it "
			    "has to await it");
}

/* Whether something can be awaited in f; makes it async. */
static bool make_async(struct node *n, struct node_function *f)
{
	if (f->async == NODE_UNKNOWN && f->is_async)
		f->async = NODE_CAN;
	if (f->async != NODE_UNKNOWN)
		return f->async == NODE_CAN;
	f->why = why_never(n, f);
	f->async = f->why ? NODE_CANNOT : NODE_CAN;
	if (f->why)
		return false;
	migrate_replace(n->m, node_offset(n, f->head), 0, "async ");
	spread(n, f);
	return true;
}

const char *node_await_problem(struct node *n, size_t i)
{
	struct node_function *f = node_function_at(n, i);
	const char *why = node_place_problem(n, i, f);

	if (why)
		return why;
	if (f)
		return make_async(n, f) ? NULL : f->why;
	if (!n->esm && n->exports)
		return "the file is a module that others require, and what is "
		       "outside of its functions cannot be async";
	n->top_await = true;
	return NULL;
}

/* --- await ---------------------------------------------------------------- */

/* Whether what stands before a ( at the beginning of a line would call it. */
static bool would_call(const struct node *n, size_t i)
{
	static const char *const heads[] = { "if", "while", "for", "with" };
	size_t open;

	if (!i || !migrate_begins_line(&n->t, i))
		return false;
	if (node_token(n, i - 1)->kind != MIGRATE_PUNCT)
		return !node_is(n, i - 1, "return") &&
		       !node_is(n, i - 1, "else") && !node_is(n, i - 1, "do") &&
		       !node_is(n, i - 1, "of") && !node_is(n, i - 1, "in");
	if (node_is(n, i - 1, "]") || node_is(n, i - 1, "}"))
		return true;
	open = n->match[i - 1];
	if (!node_is(n, i - 1, ")") || open == NODE_NONE || !open)
		return false;
	for (size_t k = 0; k < ARRAY_SIZE(heads); k++)
		if (node_is(n, open - 1, heads[k]))
			return false;
	return true;
}

static bool needs_parentheses(const struct node *n, size_t next)
{
	return node_is(n, next, ".") || node_is(n, next, "?.") ||
	       node_is(n, next, "[") || node_is(n, next, "(") ||
	       node_is(n, next, "**") || node_is(n, next, "!") ||
	       (next < n->t.n && node_token(n, next)->kind == MIGRATE_TEMPLATE);
}

void node_await(struct node *n, size_t start, size_t close)
{
	const char *why;

	if (start && node_is(n, start - 1, "await"))
		return;
	why = node_await_problem(n, start);
	if (why) {
		node_note_left(n, start, why);
		return;
	}
	if (!needs_parentheses(n, close + 1)) {
		migrate_replace(n->m, node_offset(n, start), 0, "await ");
		return;
	}
	migrate_replace(n->m, node_offset(n, start), 0, "%s(await ",
			would_call(n, start) ? ";" : "");
	migrate_replace(n->m, node_end_of(n, close), 0, ")");
}
