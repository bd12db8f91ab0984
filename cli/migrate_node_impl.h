/* Inside of migrate_node*.c: which brackets belong together, and which
 * functions there are. */
#pragma once

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
