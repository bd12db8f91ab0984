/* Inside of migrate_node*.c: which brackets belong together, which functions
 * there are, and what is awaited in them. */
#pragma once

#include <string.h>

#include "cli/migrate_impl.h"

#define NODE_NONE ((size_t)-1)
#define NODE_FUNCTIONS_MAX 2000 /* also how deep one leads to another */

enum node_async {
	NODE_UNKNOWN, /* whether it can be awaited in */
	NODE_CAN,
	NODE_CANNOT,
};

/* Indices are of tokens. */
struct node_function {
	size_t head;       /* where "async" goes; NODE_NONE: nowhere */
	size_t first, end; /* the body, with its braces */
	size_t name;       /* that it is called by, or NODE_NONE */
	bool is_async, is_generator, is_method, is_special;
	enum node_async async;
	const char *why; /* CANNOT: for a note */
};

struct node {
	struct migrate *m;
	struct migrate_tokens t;
	size_t *match;  /* of a bracket the other, else NODE_NONE */
	size_t *parent; /* the bracket around, or NODE_NONE */
	struct node_function *functions;
	size_t n_functions;
	bool esm, exports;
	bool top_await; /* something is awaited outside of functions */
};

static inline bool node_is(const struct node *n, size_t i, const char *text)
{
	return migrate_is(&n->t, i, text);
}

static inline const struct migrate_token *node_token(const struct node *n,
						     size_t i)
{
	return &n->t.items[i];
}

static inline size_t node_offset(const struct node *n, size_t i)
{
	return node_token(n, i)->start;
}

static inline size_t node_end_of(const struct node *n, size_t i)
{
	return node_token(n, i)->start + node_token(n, i)->len;
}

static inline bool node_same(const struct node *n, size_t a, size_t b)
{
	return migrate_is_word(&n->t, a) && migrate_is_word(&n->t, b) &&
	       node_token(n, a)->len == node_token(n, b)->len &&
	       !memcmp(n->t.text + node_offset(n, a),
		       n->t.text + node_offset(n, b), node_token(n, a)->len);
}

/* --- migrate_node_scope.c ------------------------------------------------ */

/* Needs the tokens. 0 or -ENOMEM. */
int node_scope_init(struct node *n) MUST_CHECK;
void node_scope_deinit(struct node *n);

/* The innermost function around the token; NULL: none. */
struct node_function *node_function_at(const struct node *n, size_t i);
/* Why nothing can be awaited at the token, whatever the function: it stands in
 * parameters or in a class; NULL: it can. */
const char *node_place_problem(const struct node *n, size_t i,
			       const struct node_function *f);
/* The last word of what is called with the function as an argument, or
 * NODE_NONE. */
size_t node_callee_of(const struct node *n, const struct node_function *f);
/* Whether the function is called where it stands: (function () {…})(). */
bool node_is_immediate(const struct node *n, const struct node_function *f);

/* --- migrate_node_await.c ------------------------------------------------ */

/* NULL, or why nothing can be awaited at the token; the functions around it,
 * and who calls them, become async. */
const char *node_await_problem(struct node *n, size_t i);
/* Awaits the expression from start to its last bracket, or notes why not. */
void node_await(struct node *n, size_t start, size_t close);
/* Notes that the call at the token stays as it is, and why. */
void node_note_left(struct node *n, size_t i, const char *why);
