/*
 * Node: require("./cronium.js") gave functions that answer at once; the SDK's
 * are to be awaited. So functions that call them become async, and calls of
 * those are awaited as well, wherever in the file that can be seen.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/migrate_node_impl.h"

#define LOCALS_MAX 64

static const struct rename {
	const char *old, *new;
} renames[] = {
	{ "input", "getInput" },
	{ "output", "setOutput" },
	{ "getVariable", "getVariable" },
	{ "setVariable", "setVariable" },
	{ "event", "getEventContext" },
	{ "getCondition", "getCondition" },
	{ "setCondition", "setCondition" },
};

/* Names that the helper, or its functions, have in this file. */
struct locals {
	struct {
		size_t name;                 /* the token that declares it */
		const struct rename *rename; /* NULL: the helper itself */
	} items[LOCALS_MAX];
	size_t n;
};

static const struct rename *find_rename(const struct node *n, size_t i)
{
	for (size_t k = 0; k < ARRAY_SIZE(renames); k++)
		if (node_is(n, i, renames[k].old))
			return &renames[k];
	return NULL;
}

/* --- calls --------------------------------------------------------------- */

/* A call of the helper's: name is the function's token, start where the
 * expression begins. */
static void take_call(struct node *n, size_t start, size_t name,
		      const struct rename *r, bool rename)
{
	size_t open = name + 1,
	       close = node_is(n, open, "(") ? n->match[open] : NODE_NONE;
	const char *why;

	if (close == NODE_NONE) {
		migrate_say(n->m, node_offset(n, name), true,
			    "%s is handed on as a value: it is async in the "
			    "SDK, and called %s",
			    r->old, r->new);
		return;
	}
	why = node_await_problem(n, start);
	if (why) {
		node_note_left(n, start, why);
		return;
	}
	if (rename && strcmp(r->old, r->new) != 0)
		migrate_replace(n->m, node_offset(n, name),
				node_token(n, name)->len, "%s", r->new);
	if (!strcmp(r->old, "getVariable") &&
	    migrate_count_arguments(&n->t, open) == 1)
		migrate_replace(n->m, node_offset(n, close), 0, "%s",
				node_is(n, close - 1, ",") ? " null"
							   : ", null");
	if (!strcmp(r->old, "event"))
		migrate_say(n->m, node_offset(n, name), false,
			    "event() was event.json; getEventContext() is the "
			    "job's context: look at the members that are read");
	node_await(n, start, close);
}

/* --- how the helper is loaded --------------------------------------------- */

static bool is_helper(const struct node *n, size_t i)
{
	static const char *const files[] = { "./cronium", "./cronium.js",
					     "./cronium.cjs", "./cronium.mjs" };

	if (i >= n->t.n || node_token(n, i)->kind != MIGRATE_STRING)
		return false;
	for (size_t k = 0; k < ARRAY_SIZE(files); k++)
		if (node_token(n, i)->len == strlen(files[k]) + 2 &&
		    !memcmp(n->t.text + node_offset(n, i) + 1, files[k],
			    strlen(files[k])))
			return true;
	return false;
}

static void load_sdk(struct node *n, size_t i)
{
	char quote = n->t.text[node_offset(n, i)];

	migrate_replace(n->m, node_offset(n, i), node_token(n, i)->len,
			"%ccronium%c", quote, quote);
}

static void add_local(struct locals *l, size_t name, const struct rename *r)
{
	if (l->n == LOCALS_MAX)
		return;
	l->items[l->n].name = name;
	l->items[l->n++].rename = r;
}

/* { input, output: out } or { input as in }, between its brackets. */
static void take_members(struct node *n, struct locals *l, size_t open,
			 const char *colon)
{
	size_t close = n->match[open], i = open + 1;

	while (i < close) {
		const struct rename *r = find_rename(n, i);
		bool alias = !node_is(n, i + 1, ",") && i + 1 < close;

		if (!r ||
		    (alias &&
		     strcmp(colon, node_is(n, i + 1, ":") ? ": " : " as ")))
			migrate_say(n->m, node_offset(n, i), true,
				    "this is not understood: docs/sdk.md lists "
				    "what the SDK has");
		else
			add_local(l, alias ? i + 2 : i, r);
		if (r && strcmp(r->old, r->new) != 0)
			migrate_replace(n->m, node_offset(n, i),
					node_token(n, i)->len, "%s%s%s", r->new,
					alias ? "" : colon,
					alias ? "" : r->old);
		while (i < close && !node_is(n, i, ","))
			i++;
		i++;
	}
}

/* require("./cronium"): i is the string. */
static void take_require(struct node *n, struct locals *l, size_t i)
{
	size_t start = i - 2; /* require */
	const struct rename *r = node_is(n, i + 2, ".") ? find_rename(n, i + 3)
							: NULL;
	size_t before = start ? start - 1 : NODE_NONE;

	load_sdk(n, i);
	if (r)
		take_call(n, start, i + 3, r, true);
	else if (before != NODE_NONE && before && node_is(n, before, "=") &&
		 node_is(n, before - 1, "}") &&
		 n->match[before - 1] != NODE_NONE)
		take_members(n, l, n->match[before - 1], ": ");
	else if (before != NODE_NONE && before && node_is(n, before, "=") &&
		 migrate_is_word(&n->t, before - 1) && !node_is(n, i + 2, "."))
		add_local(l, before - 1, NULL);
	else
		migrate_say(n->m, node_offset(n, start), true,
			    "what becomes of this require cannot be seen: its "
			    "functions are async in the SDK");
}

/* import … from "./cronium.js": i is the string. */
static void take_import(struct node *n, struct locals *l, size_t i)
{
	size_t k = i - 2; /* before "from" */

	load_sdk(n, i);
	if (node_is(n, k, "}") && n->match[k] != NODE_NONE) {
		take_members(n, l, n->match[k], " as ");
		k = n->match[k];
		k -= k > 1 && node_is(n, k - 1, ",") ? 2 : 1;
	}
	if (migrate_is_word(&n->t, k) && !node_is(n, k, "import"))
		add_local(l, k, NULL);
}

static void take_loads(struct node *n, struct locals *l)
{
	for (size_t i = 2; i < n->t.n; i++) {
		if (!is_helper(n, i))
			continue;
		if (node_is(n, i - 1, "(") && node_is(n, i - 2, "require") &&
		    node_is(n, i + 1, ")"))
			take_require(n, l, i);
		else if (node_is(n, i - 1, "from"))
			take_import(n, l, i);
		else
			migrate_say(n->m, node_offset(n, i), true,
				    "the helper is loaded in a way that is not "
				    "understood");
	}
}

/* --- uses ----------------------------------------------------------------- */

/* Whether the word stands for itself: no member, no key of an object. */
static bool is_free(const struct node *n, size_t i)
{
	return !(i && (node_is(n, i - 1, ".") || node_is(n, i - 1, "?."))) &&
	       !(node_is(n, i + 1, ":") && i &&
		 (node_is(n, i - 1, "{") || node_is(n, i - 1, ",")));
}

static void take_module(struct node *n, size_t i)
{
	const struct rename *r = find_rename(n, i + 2);

	if (!node_is(n, i + 1, ".") && !node_is(n, i + 1, "?."))
		migrate_say(n->m, node_offset(n, i), true,
			    "the helper is used as a value: what is called on "
			    "it cannot be seen");
	else if (r)
		take_call(n, i, i + 2, r, true);
	else
		migrate_say(n->m, node_offset(n, i), true,
			    "the helper had no such function, or the SDK has "
			    "none: docs/sdk.md lists what it has");
}

static void take_uses(struct node *n, const struct locals *l)
{
	for (size_t i = 0; i < n->t.n; i++)
		for (size_t k = 0; k < l->n; k++) {
			if (i == l->items[k].name ||
			    !node_same(n, i, l->items[k].name) ||
			    !is_free(n, i))
				continue;
			if (!l->items[k].rename)
				take_module(n, i);
			else if (node_is(n, i - (i > 0), "function") ||
				 node_is(n, i + 1, "=>"))
				migrate_say(n->m, node_offset(n, i), true,
					    "the name of a function of the "
					    "helper means something else here");
			else
				take_call(n, i, i, l->items[k].rename, false);
		}
}

/* Code in a template is left as it is. */
static void look_into(struct node *n, const struct locals *l, size_t i)
{
	char call[80];

	for (size_t k = 0; k < l->n; k++) {
		snprintf(call, sizeof(call), "%.*s%c",
			 (int)MIN(node_token(n, l->items[k].name)->len, 64),
			 n->t.text + node_offset(n, l->items[k].name),
			 l->items[k].rename ? '(' : '.');
		if (migrate_contains(n->t.text + node_offset(n, i),
				     node_token(n, i)->len, call))
			migrate_say(n->m, node_offset(n, i), true,
				    "a call of the helper's within a template "
				    "is left: it has to be awaited");
	}
}

static void look_at_strings(struct node *n, const struct locals *l)
{
	for (size_t i = 0; i < n->t.n; i++) {
		if (node_token(n, i)->kind == MIGRATE_TEMPLATE)
			look_into(n, l, i);
		if (node_token(n, i)->kind == MIGRATE_TEMPLATE ||
		    node_token(n, i)->kind == MIGRATE_STRING)
			migrate_say_files(n->m, node_offset(n, i),
					  node_token(n, i)->len, MIGRATE_NODE);
	}
}

/* --- the file ------------------------------------------------------------- */

static void look_at_file(struct node *n, bool is_module)
{
	n->esm = is_module;
	for (size_t i = 0; i < n->t.n; i++) {
		if (n->parent[i] == NODE_NONE &&
		    (node_is(n, i, "export") ||
		     (node_is(n, i, "import") && !node_is(n, i + 1, "(") &&
		      !node_is(n, i + 1, "."))))
			n->esm = true;
		if ((node_is(n, i, "module") && node_is(n, i + 1, ".") &&
		     node_is(n, i + 2, "exports")) ||
		    (node_is(n, i, "exports") && node_is(n, i + 1, ".")))
			n->exports = true;
	}
}

/* CommonJS has no await outside of functions. */
static void wrap(struct node *n)
{
	const char *name = "main";

	for (size_t i = 0; i < n->t.n; i++)
		if (node_is(n, i, "main"))
			name = "croniumMain";
	migrate_replace(n->m, node_offset(n, 0), 0, "async function %s() {\n",
			name);
	if (!n->m->out_of_memory)
		n->m->edits[n->m->n_edits - 1].order = 0;
	migrate_replace(n->m, n->m->len, 0, "%s}\n\n%s();\n",
			n->m->text[n->m->len - 1] == '\n' ? "" : "\n", name);
}

static int run(struct node *n, bool is_module)
{
	struct locals l = { .n = 0 };
	int r = node_scope_init(n);

	if (r < 0)
		return r;
	look_at_file(n, is_module);
	take_loads(n, &l);
	take_uses(n, &l);
	look_at_strings(n, &l);
	if (n->top_await && !n->esm)
		wrap(n);
	return 0;
}

void migrate_node(struct migrate *m, bool is_module)
{
	struct node n = { .m = m };
	size_t at = 0;
	int r = migrate_lex_node(m->text, m->len, &n.t, &at);

	if (r == -EINVAL)
		migrate_say(m, at, true,
			    "from here on this is not readable as JavaScript: "
			    "nothing is changed");
	else if (!r && n.t.n)
		r = run(&n, is_module);
	if (r == -ENOMEM)
		m->out_of_memory = true;
	node_scope_deinit(&n);
	migrate_tokens_deinit(&n.t);
}
