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

static void await_call(struct node *n, size_t start, size_t close);

static bool is(const struct node *n, size_t i, const char *text)
{
	return migrate_is(&n->t, i, text);
}

static const struct migrate_token *token(const struct node *n, size_t i)
{
	return &n->t.items[i];
}

static size_t offset(const struct node *n, size_t i)
{
	return token(n, i)->start;
}

static size_t end_of(const struct node *n, size_t i)
{
	return token(n, i)->start + token(n, i)->len;
}

static bool same(const struct node *n, size_t a, size_t b)
{
	return migrate_is_word(&n->t, a) && migrate_is_word(&n->t, b) &&
	       token(n, a)->len == token(n, b)->len &&
	       !memcmp(n->t.text + offset(n, a), n->t.text + offset(n, b),
		       token(n, a)->len);
}

static const struct rename *find_rename(const struct node *n, size_t i)
{
	for (size_t k = 0; k < ARRAY_SIZE(renames); k++)
		if (is(n, i, renames[k].old))
			return &renames[k];
	return NULL;
}

/* --- who has become async ------------------------------------------------- */

static void note_left(struct node *n, size_t i, const char *why)
{
	migrate_say(n->m, offset(n, i), true,
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
		if (is(n, callee, names[k]))
			return true;
	return false;
}

static bool is_declared_twice(const struct node *n, size_t name)
{
	static const char *const words[] = { "function", "const", "let", "var",
					     "class" };
	size_t seen = 0;

	for (size_t i = 1; i < n->t.n; i++)
		for (size_t k = 0; same(n, i, name) && k < ARRAY_SIZE(words);
		     k++)
			seen += is(n, i - 1, words[k]);
	return seen > 1;
}

/* Calls of a function that has become async. */
static void await_callers(struct node *n, const struct node_function *f)
{
	size_t name = f->name;

	for (size_t i = 0; i < n->t.n; i++) {
		if (i == name || !same(n, i, name) ||
		    (i && (is(n, i - 1, ".") || is(n, i - 1, "function"))) ||
		    is(n, i + 1, ":"))
			continue;
		if (is(n, i + 1, "(") && n->match[i + 1] != NODE_NONE)
			await_call(n, i, n->match[i + 1]);
		else if (!is(n, i + 1, "="))
			migrate_say(n->m, offset(n, i), true,
				    "%.*s has become async, and is handed on: "
				    "whoever calls it has to await it",
				    (int)token(n, i)->len,
				    n->t.text + offset(n, i));
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
		await_call(n, begin - 1, n->match[f->end + 2]);
	else if (f->is_method)
		migrate_say(n->m, offset(n, f->head), true,
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
	migrate_replace(n->m, offset(n, f->head), 0, "async ");
	spread(n, f);
	return true;
}

/* NULL, or why nothing can be awaited at the token. */
static const char *can_await(struct node *n, size_t i)
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
	if (token(n, i - 1)->kind != MIGRATE_PUNCT)
		return !is(n, i - 1, "return") && !is(n, i - 1, "else") &&
		       !is(n, i - 1, "do") && !is(n, i - 1, "of") &&
		       !is(n, i - 1, "in");
	if (is(n, i - 1, "]") || is(n, i - 1, "}"))
		return true;
	open = n->match[i - 1];
	if (!is(n, i - 1, ")") || open == NODE_NONE || !open)
		return false;
	for (size_t k = 0; k < ARRAY_SIZE(heads); k++)
		if (is(n, open - 1, heads[k]))
			return false;
	return true;
}

static bool needs_parentheses(const struct node *n, size_t next)
{
	return is(n, next, ".") || is(n, next, "?.") || is(n, next, "[") ||
	       is(n, next, "(") || is(n, next, "**") || is(n, next, "!") ||
	       (next < n->t.n && token(n, next)->kind == MIGRATE_TEMPLATE);
}

static void await_call(struct node *n, size_t start, size_t close)
{
	const char *why;

	if (start && is(n, start - 1, "await"))
		return;
	why = can_await(n, start);
	if (why) {
		note_left(n, start, why);
		return;
	}
	if (!needs_parentheses(n, close + 1)) {
		migrate_replace(n->m, offset(n, start), 0, "await ");
		return;
	}
	migrate_replace(n->m, offset(n, start), 0, "%s(await ",
			would_call(n, start) ? ";" : "");
	migrate_replace(n->m, end_of(n, close), 0, ")");
}

/* A call of the helper's: name is the function's token, start where the
 * expression begins. */
static void take_call(struct node *n, size_t start, size_t name,
		      const struct rename *r, bool rename)
{
	size_t open = name + 1,
	       close = is(n, open, "(") ? n->match[open] : NODE_NONE;
	const char *why;

	if (close == NODE_NONE) {
		migrate_say(n->m, offset(n, name), true,
			    "%s is handed on as a value: it is async in the "
			    "SDK, and called %s",
			    r->old, r->new);
		return;
	}
	why = can_await(n, start);
	if (why) {
		note_left(n, start, why);
		return;
	}
	if (rename && strcmp(r->old, r->new) != 0)
		migrate_replace(n->m, offset(n, name), token(n, name)->len,
				"%s", r->new);
	if (!strcmp(r->old, "getVariable") &&
	    migrate_count_arguments(&n->t, open) == 1)
		migrate_replace(n->m, offset(n, close), 0, "%s",
				is(n, close - 1, ",") ? " null" : ", null");
	if (!strcmp(r->old, "event"))
		migrate_say(n->m, offset(n, name), false,
			    "event() was event.json; getEventContext() is the "
			    "job's context: look at the members that are read");
	await_call(n, start, close);
}

/* --- how the helper is loaded --------------------------------------------- */

static bool is_helper(const struct node *n, size_t i)
{
	static const char *const files[] = { "./cronium", "./cronium.js",
					     "./cronium.cjs", "./cronium.mjs" };

	if (i >= n->t.n || token(n, i)->kind != MIGRATE_STRING)
		return false;
	for (size_t k = 0; k < ARRAY_SIZE(files); k++)
		if (token(n, i)->len == strlen(files[k]) + 2 &&
		    !memcmp(n->t.text + offset(n, i) + 1, files[k],
			    strlen(files[k])))
			return true;
	return false;
}

static void load_sdk(struct node *n, size_t i)
{
	char quote = n->t.text[offset(n, i)];

	migrate_replace(n->m, offset(n, i), token(n, i)->len, "%ccronium%c",
			quote, quote);
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
		bool alias = !is(n, i + 1, ",") && i + 1 < close;

		if (!r ||
		    (alias && strcmp(colon, is(n, i + 1, ":") ? ": " : " as ")))
			migrate_say(n->m, offset(n, i), true,
				    "this is not understood: docs/sdk.md lists "
				    "what the SDK has");
		else
			add_local(l, alias ? i + 2 : i, r);
		if (r && strcmp(r->old, r->new) != 0)
			migrate_replace(n->m, offset(n, i), token(n, i)->len,
					"%s%s%s", r->new, alias ? "" : colon,
					alias ? "" : r->old);
		while (i < close && !is(n, i, ","))
			i++;
		i++;
	}
}

/* require("./cronium"): i is the string. */
static void take_require(struct node *n, struct locals *l, size_t i)
{
	size_t start = i - 2; /* require */
	const struct rename *r = is(n, i + 2, ".") ? find_rename(n, i + 3)
						   : NULL;
	size_t before = start ? start - 1 : NODE_NONE;

	load_sdk(n, i);
	if (r)
		take_call(n, start, i + 3, r, true);
	else if (before != NODE_NONE && before && is(n, before, "=") &&
		 is(n, before - 1, "}") && n->match[before - 1] != NODE_NONE)
		take_members(n, l, n->match[before - 1], ": ");
	else if (before != NODE_NONE && before && is(n, before, "=") &&
		 migrate_is_word(&n->t, before - 1) && !is(n, i + 2, "."))
		add_local(l, before - 1, NULL);
	else
		migrate_say(n->m, offset(n, start), true,
			    "what becomes of this require cannot be seen: its "
			    "functions are async in the SDK");
}

/* import … from "./cronium.js": i is the string. */
static void take_import(struct node *n, struct locals *l, size_t i)
{
	size_t k = i - 2; /* before "from" */

	load_sdk(n, i);
	if (is(n, k, "}") && n->match[k] != NODE_NONE) {
		take_members(n, l, n->match[k], " as ");
		k = n->match[k];
		k -= k > 1 && is(n, k - 1, ",") ? 2 : 1;
	}
	if (migrate_is_word(&n->t, k) && !is(n, k, "import"))
		add_local(l, k, NULL);
}

static void take_loads(struct node *n, struct locals *l)
{
	for (size_t i = 2; i < n->t.n; i++) {
		if (!is_helper(n, i))
			continue;
		if (is(n, i - 1, "(") && is(n, i - 2, "require") &&
		    is(n, i + 1, ")"))
			take_require(n, l, i);
		else if (is(n, i - 1, "from"))
			take_import(n, l, i);
		else
			migrate_say(n->m, offset(n, i), true,
				    "the helper is loaded in a way that is not "
				    "understood");
	}
}

/* --- uses ----------------------------------------------------------------- */

/* Whether the word stands for itself: no member, no key of an object. */
static bool is_free(const struct node *n, size_t i)
{
	return !(i && (is(n, i - 1, ".") || is(n, i - 1, "?."))) &&
	       !(is(n, i + 1, ":") && i &&
		 (is(n, i - 1, "{") || is(n, i - 1, ",")));
}

static void take_module(struct node *n, size_t i)
{
	const struct rename *r = find_rename(n, i + 2);

	if (!is(n, i + 1, ".") && !is(n, i + 1, "?."))
		migrate_say(n->m, offset(n, i), true,
			    "the helper is used as a value: what is called on "
			    "it cannot be seen");
	else if (r)
		take_call(n, i, i + 2, r, true);
	else
		migrate_say(n->m, offset(n, i), true,
			    "the helper had no such function, or the SDK has "
			    "none: docs/sdk.md lists what it has");
}

static void take_uses(struct node *n, const struct locals *l)
{
	for (size_t i = 0; i < n->t.n; i++)
		for (size_t k = 0; k < l->n; k++) {
			if (i == l->items[k].name ||
			    !same(n, i, l->items[k].name) || !is_free(n, i))
				continue;
			if (!l->items[k].rename)
				take_module(n, i);
			else if (is(n, i - (i > 0), "function") ||
				 is(n, i + 1, "=>"))
				migrate_say(n->m, offset(n, i), true,
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
			 (int)MIN(token(n, l->items[k].name)->len, 64),
			 n->t.text + offset(n, l->items[k].name),
			 l->items[k].rename ? '(' : '.');
		if (migrate_contains(n->t.text + offset(n, i), token(n, i)->len,
				     call))
			migrate_say(n->m, offset(n, i), true,
				    "a call of the helper's within a template "
				    "is left: it has to be awaited");
	}
}

static void look_at_strings(struct node *n, const struct locals *l)
{
	for (size_t i = 0; i < n->t.n; i++) {
		if (token(n, i)->kind == MIGRATE_TEMPLATE)
			look_into(n, l, i);
		if (token(n, i)->kind == MIGRATE_TEMPLATE ||
		    token(n, i)->kind == MIGRATE_STRING)
			migrate_say_files(n->m, offset(n, i), token(n, i)->len,
					  MIGRATE_NODE);
	}
}

/* --- the file ------------------------------------------------------------- */

static void look_at_file(struct node *n, bool is_module)
{
	n->esm = is_module;
	for (size_t i = 0; i < n->t.n; i++) {
		if (n->parent[i] == NODE_NONE &&
		    (is(n, i, "export") ||
		     (is(n, i, "import") && !is(n, i + 1, "(") &&
		      !is(n, i + 1, "."))))
			n->esm = true;
		if ((is(n, i, "module") && is(n, i + 1, ".") &&
		     is(n, i + 2, "exports")) ||
		    (is(n, i, "exports") && is(n, i + 1, ".")))
			n->exports = true;
	}
}

/* CommonJS has no await outside of functions. */
static void wrap(struct node *n)
{
	const char *name = "main";

	for (size_t i = 0; i < n->t.n; i++)
		if (is(n, i, "main"))
			name = "croniumMain";
	migrate_replace(n->m, offset(n, 0), 0, "async function %s() {\n", name);
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
