#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/migrate_node_impl.h"

#define TYPE_TOKENS_MAX 64 /* of a return type in TypeScript */

static bool is_any(const struct node *n, size_t i, const char *const *words)
{
	for (; *words; words++)
		if (node_is(n, i, *words))
			return true;
	return false;
}

/* --- brackets ------------------------------------------------------------- */

static int match_brackets(struct node *n)
{
	size_t open = NODE_NONE;

	n->match = calloc(n->t.n + 1, sizeof(*n->match));
	n->parent = calloc(n->t.n + 1, sizeof(*n->parent));
	if (!n->match || !n->parent)
		return -ENOMEM;
	for (size_t i = 0; i < n->t.n; i++) {
		n->match[i] = NODE_NONE;
		if (open != NODE_NONE &&
		    (node_is(n, i, ")") || node_is(n, i, "]") ||
		     node_is(n, i, "}"))) {
			n->match[i] = open;
			n->match[open] = i;
			open = n->parent[open];
		}
		n->parent[i] = open;
		if (node_is(n, i, "(") || node_is(n, i, "[") ||
		    node_is(n, i, "{"))
			open = i;
	}
	return 0;
}

/* --- functions ------------------------------------------------------------ */

static int add(struct node *n, const struct node_function *f)
{
	struct node_function *list = n->functions;

	if (f->end == NODE_NONE || n->n_functions == NODE_FUNCTIONS_MAX)
		return 0;
	if (!(n->n_functions & (n->n_functions - 1))) {
		list = reallocarray(list,
				    n->n_functions ? n->n_functions * 2 : 1,
				    sizeof(*list));
		if (!list)
			return -ENOMEM;
		n->functions = list;
	}
	list[n->n_functions++] = *f;
	return 0;
}

/* The { of the body behind the ) of the parameters, perhaps with a type
 * between; NODE_NONE. */
static size_t body_after(const struct node *n, size_t close)
{
	if (close == NODE_NONE)
		return NODE_NONE;
	if (node_is(n, close + 1, "{"))
		return close + 1;
	if (!node_is(n, close + 1, ":"))
		return NODE_NONE;
	for (size_t i = close + 2; i < MIN(n->t.n, close + TYPE_TOKENS_MAX);
	     i++) {
		if (node_is(n, i, "{"))
			return i;
		if (node_is(n, i, ";") || node_is(n, i, "=>") ||
		    node_is(n, i, ")"))
			break;
	}
	return NODE_NONE;
}

/* What `NAME =` or `NAME:` in front of the function says. */
static void name_by_assignment(const struct node *n, struct node_function *f,
			       size_t before)
{
	if (before == NODE_NONE || before < 1)
		return;
	if (node_is(n, before, "=") && migrate_is_word(&n->t, before - 1) &&
	    !(before > 1 && node_is(n, before - 2, ".")))
		f->name = before - 1;
	else if (node_is(n, before, "=") || node_is(n, before, ":"))
		f->is_method = true; /* of an object, or exported */
}

static int take_function(struct node *n, size_t i)
{
	struct node_function f = { .head = i, .name = NODE_NONE };
	size_t at = i + 1, open;

	f.is_async = i && node_is(n, i - 1, "async");
	f.is_generator = node_is(n, at, "*");
	at += f.is_generator;
	if (migrate_is_word(&n->t, at))
		f.name = at++;
	else
		name_by_assignment(n, &f,
				   i >= 1u + f.is_async ? i - 1 - f.is_async
							: NODE_NONE);
	if (!node_is(n, at, "("))
		return 0;
	open = body_after(n, n->match[at]);
	if (open == NODE_NONE)
		return 0;
	f.first = open;
	f.end = n->match[open];
	return add(n, &f);
}

/* Where an expression ends that has no bracket of its own. */
static size_t expression_end(const struct node *n, size_t i)
{
	static const char *const goes_on[] = { "instanceof", "in", "of", "as",
					       NULL };

	for (size_t at = i; at < n->t.n; at++) {
		if (node_is(n, at, ",") || node_is(n, at, ";") ||
		    node_is(n, at, ")") || node_is(n, at, "]") ||
		    node_is(n, at, "}"))
			return at ? at - 1 : 0;
		if (at > i && migrate_begins_line(&n->t, at) &&
		    n->t.items[at].kind != MIGRATE_PUNCT &&
		    !is_any(n, at, goes_on) &&
		    (n->t.items[at - 1].kind != MIGRATE_PUNCT ||
		     node_is(n, at - 1, ")") || node_is(n, at - 1, "]") ||
		     node_is(n, at - 1, "}")))
			return at - 1;
		if (n->match[at] != NODE_NONE && n->match[at] > at)
			at = n->match[at];
	}
	return n->t.n - 1;
}

static int take_arrow(struct node *n, size_t i)
{
	struct node_function f = { .head = NODE_NONE, .name = NODE_NONE };

	if (!i || i + 1 >= n->t.n)
		return 0;
	if (node_is(n, i - 1, ")") && n->match[i - 1] != NODE_NONE)
		f.head = n->match[i - 1];
	else if (migrate_is_word(&n->t, i - 1))
		f.head = i - 1;
	if (f.head != NODE_NONE && f.head > 0) {
		f.is_async = node_is(n, f.head - 1, "async");
		if (f.head > f.is_async)
			name_by_assignment(n, &f, f.head - 1 - f.is_async);
	}
	f.first = i + 1;
	f.end = node_is(n, i + 1, "{") ? n->match[i + 1]
				       : expression_end(n, i + 1);
	return add(n, &f);
}

/* NAME(…) {…}, of a class or an object. */
static int take_method(struct node *n, size_t i)
{
	static const char *const no_names[] = {
		"if",     "for",      "while",  "switch", "catch", "with",
		"return", "function", "typeof", "await",  NULL,
	};
	struct node_function f = { .head = i,
				   .name = NODE_NONE,
				   .is_method = true };
	size_t open;

	if (is_any(n, i, no_names) ||
	    (i && (node_is(n, i - 1, "function") || node_is(n, i - 1, ".") ||
		   node_is(n, i - 1, "new") ||
		   (node_is(n, i - 1, "*") && i > 1 &&
		    node_is(n, i - 2, "function")))))
		return 0;
	open = body_after(n, n->match[i + 1]);
	if (open == NODE_NONE)
		return 0;
	f.is_async = i && node_is(n, i - 1, "async");
	f.is_generator = i && node_is(n, i - 1, "*");
	f.is_special = node_is(n, i, "constructor") ||
		       (i &&
			(node_is(n, i - 1, "get") || node_is(n, i - 1, "set")));
	f.first = open;
	f.end = n->match[open];
	return add(n, &f);
}

static int find_functions(struct node *n)
{
	int r = 0;

	for (size_t i = 0; !r && i < n->t.n; i++) {
		if (node_is(n, i, "function"))
			r = take_function(n, i);
		else if (node_is(n, i, "=>"))
			r = take_arrow(n, i);
		else if (migrate_is_word(&n->t, i) && node_is(n, i + 1, "("))
			r = take_method(n, i);
	}
	return r;
}

int node_scope_init(struct node *n)
{
	int r = match_brackets(n);

	return r ? r : find_functions(n);
}

void node_scope_deinit(struct node *n)
{
	free(n->match);
	free(n->parent);
	free(n->functions);
}

/* --- questions ------------------------------------------------------------ */

struct node_function *node_function_at(const struct node *n, size_t i)
{
	struct node_function *found = NULL;

	for (size_t k = 0; k < n->n_functions; k++) {
		struct node_function *f = &n->functions[k];

		if (f->first <= i && i <= f->end &&
		    (!found || f->first > found->first))
			found = f;
	}
	return found;
}

static bool is_class_body(const struct node *n, size_t open)
{
	/* class NAME extends EXPRESSION { */
	for (size_t k = 1; k <= 8 && k <= open; k++) {
		if (node_is(n, open - k, "class"))
			return true;
		if (!migrate_is_word(&n->t, open - k) &&
		    !node_is(n, open - k, "."))
			return false;
	}
	return false;
}

const char *node_place_problem(const struct node *n, size_t i,
			       const struct node_function *f)
{
	size_t stop = f ? f->first : NODE_NONE;

	for (size_t k = 0; k < n->n_functions; k++) {
		const struct node_function *g = &n->functions[k];

		if (g->head != NODE_NONE && g->head <= i && i < g->first)
			return "it stands among the parameters of a function";
	}
	for (size_t open = n->parent[i]; open != NODE_NONE && open != stop;
	     open = n->parent[open])
		if (node_is(n, open, "{") && is_class_body(n, open))
			return "it stands in a class, outside of its methods";
	return NULL;
}

/* Where the function begins, with "async". */
static size_t beginning(const struct node_function *f)
{
	return f->head - (f->is_async ? 1 : 0);
}

size_t node_callee_of(const struct node *n, const struct node_function *f)
{
	size_t open;

	if (f->head == NODE_NONE)
		return NODE_NONE;
	open = n->parent[beginning(f)];
	if (open == NODE_NONE || !open || !node_is(n, open, "(") ||
	    !migrate_is_word(&n->t, open - 1))
		return NODE_NONE;
	return open - 1;
}

bool node_is_immediate(const struct node *n, const struct node_function *f)
{
	size_t begin;

	if (f->head == NODE_NONE || !beginning(f))
		return false;
	begin = beginning(f);
	return node_is(n, begin - 1, "(") &&
	       n->match[begin - 1] == f->end + 1 &&
	       node_is(n, f->end + 2, "(") &&
	       !(begin > 1 && migrate_is_word(&n->t, begin - 2) &&
		 !migrate_begins_line(&n->t, begin - 1));
}
