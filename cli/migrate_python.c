/*
 * Python: `import cronium` meant a cronium.py beside the script. Names that
 * had two spellings keep the one that the SDK has; a variable that is absent
 * was None, which the SDK has to be asked for.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/migrate_impl.h"

#define MODULES_MAX 8 /* names that the helper is imported as */
#define NAMES_MAX 32  /* functions that are imported by themselves */

static const struct rename {
	const char *old, *new;
	bool is_old; /* the SDK never had this name */
} renames[] = {
	{ "input", "input", false },
	{ "output", "output", false },
	{ "get_variable", "get_variable", false },
	{ "getVariable", "get_variable", true },
	{ "set_variable", "set_variable", false },
	{ "setVariable", "set_variable", true },
	{ "event", "get_event_context", true },
	{ "getCondition", "get_condition", true },
	{ "get_condition", "get_condition", false },
	{ "setCondition", "set_condition", true },
	{ "set_condition", "set_condition", false },
};

/* What else the SDK has: nothing to do. */
static const char *const known[] = {
	"get_event_context", "delete_variable",      "increment_variable",
	"list_variables",    "get_variable_version", "subscribe",
	"stream_input",      "stream_output",        "execute_tool_action",
	"Cronium",           "AsyncCronium",         "CroniumError",
	"NotFoundError",     "ConflictError",        "ForbiddenError",
	"AuthError",         "InvalidError",         "TooLargeError",
	"RateLimitError",    "UnavailableError",     "ToolError",
	"StreamBrokenError", "NotInJobError",        "Change",
};

struct python {
	struct migrate *m;
	struct migrate_tokens t;
	struct migrate_token modules[MODULES_MAX];
	size_t n_modules;
	struct {
		struct migrate_token name;
		const struct rename *rename;
	} names[NAMES_MAX];
	size_t n_names;
	bool old; /* it is written for the helper */
};

static const struct rename *find_rename(const struct migrate_tokens *t,
					size_t i)
{
	for (size_t k = 0; k < ARRAY_SIZE(renames); k++)
		if (migrate_is(t, i, renames[k].old))
			return &renames[k];
	return NULL;
}

static bool is_known(const struct migrate_tokens *t, size_t i)
{
	for (size_t k = 0; k < ARRAY_SIZE(known); k++)
		if (migrate_is(t, i, known[k]))
			return true;
	return false;
}

static bool same(const struct migrate_tokens *t, size_t i,
		 const struct migrate_token *name)
{
	return migrate_is_word(t, i) && t->items[i].len == name->len &&
	       !memcmp(t->text + t->items[i].start, t->text + name->start,
		       name->len);
}

static bool is_module(const struct python *p, size_t i)
{
	for (size_t k = 0; k < p->n_modules; k++)
		if (same(&p->t, i, &p->modules[k]))
			return true;
	return false;
}

static size_t start_of(const struct python *p, size_t i)
{
	return p->t.items[MIN(i, p->t.n - 1)].start;
}

/* --- imports -------------------------------------------------------------- */

static void add_module(struct python *p, size_t i)
{
	if (p->n_modules < MODULES_MAX)
		p->modules[p->n_modules++] = p->t.items[i];
	else
		migrate_say(p->m, start_of(p, i), true,
			    "the helper is imported under too many names");
}

/* "import a, cronium as c": i is the first name; returns what follows. */
static size_t take_import(struct python *p, size_t i)
{
	const struct migrate_tokens *t = &p->t;

	for (;;) {
		bool ours = migrate_is(t, i, "cronium") &&
			    !migrate_is(t, i + 1, ".");
		size_t name = i++;

		while (migrate_is(t, i, ".") && !migrate_begins_line(t, i))
			i += 2;
		if (migrate_is(t, i, "as") && migrate_is_word(t, i + 1)) {
			name = i + 1;
			i += 2;
		}
		if (ours)
			add_module(p, name);
		if (!migrate_is(t, i, ",") || migrate_begins_line(t, i))
			return i;
		i++;
	}
}

static void add_name(struct python *p, size_t name, const struct rename *r)
{
	if (p->n_names == NAMES_MAX)
		return;
	p->names[p->n_names].name = p->t.items[name];
	p->names[p->n_names++].rename = r;
}

/* One of "from cronium import a, b as c": it keeps the name that the rest of
 * the script calls it by. */
static size_t take_name(struct python *p, size_t i)
{
	const struct migrate_tokens *t = &p->t;
	const struct rename *r = find_rename(t, i);
	const struct migrate_token *old = &t->items[i];
	bool alias = migrate_is(t, i + 1, "as") && migrate_is_word(t, i + 2);

	if (!r && !is_known(t, i))
		migrate_say(
			p->m, old->start, true,
			"the SDK has no %.*s: docs/sdk.md lists what it has",
			(int)old->len, t->text + old->start);
	if (r)
		add_name(p, alias ? i + 2 : i, r);
	if (r && r->is_old)
		migrate_replace(p->m, old->start, old->len, "%s%s%s", r->new,
				alias ? "" : " as ", alias ? "" : r->old);
	if (r && r->is_old)
		p->old = true;
	return i + (alias ? 3 : 1);
}

/* i is behind "from cronium import". */
static size_t take_names(struct python *p, size_t i)
{
	const struct migrate_tokens *t = &p->t;
	bool list = migrate_is(t, i, "(");

	if (migrate_is(t, i, "*")) {
		migrate_say(p->m, start_of(p, i), true,
			    "import * hides which names are the helper's: "
			    "import cronium, and write cronium. before them");
		return i + 1;
	}
	i += list;
	while (migrate_is_word(t, i)) {
		i = take_name(p, i);
		if (!migrate_is(t, i, ","))
			break;
		i++;
		if (!list && migrate_begins_line(t, i))
			break;
	}
	return i;
}

static void take_imports(struct python *p)
{
	const struct migrate_tokens *t = &p->t;
	size_t i = 0;

	while (i < t->n) {
		bool from = migrate_is(t, i, "from") &&
			    !migrate_is(t, i - (i > 0), "yield");

		if (from && migrate_is(t, i + 1, "cronium") &&
		    migrate_is(t, i + 2, "import"))
			i = take_names(p, i + 3);
		else if (from && migrate_is_word(t, i + 1))
			i += 3;
		else if (migrate_is(t, i, "import"))
			i = take_import(p, i + 1);
		else
			i++;
	}
}

/* --- calls ---------------------------------------------------------------- */

static bool is_get(const struct rename *r)
{
	return !strcmp(r->new, "get_variable");
}

/* What was absent was None. open: the token (. */
static void ask_for_none(struct python *p, size_t open)
{
	size_t close = migrate_closing(&p->t, open);
	bool comma = migrate_is(&p->t, close - 1, ",");

	if (close < p->t.n && migrate_count_arguments(&p->t, open) == 1)
		migrate_replace(p->m, p->t.items[close].start, 0, "%s",
				comma ? " None" : ", None");
}

static void note_event(struct python *p, size_t i)
{
	migrate_say(p->m, start_of(p, i), false,
		    "event() was event.json; get_event_context() is the "
		    "job's context: look at the members that are read");
}

/* A function of the module: i is its name, behind the dot. */
static void take_member(struct python *p, size_t i)
{
	const struct migrate_token *name = &p->t.items[i];
	const struct rename *r = find_rename(&p->t, i);

	if (!r) {
		if (!is_known(&p->t, i))
			migrate_say(p->m, name->start, true,
				    "the SDK has no %.*s: docs/sdk.md lists "
				    "what it has",
				    (int)name->len, p->t.text + name->start);
		return;
	}
	if (r->is_old)
		migrate_replace(p->m, name->start, name->len, "%s", r->new);
	if (r->is_old && !strcmp(r->old, "event"))
		note_event(p, i);
	if (is_get(r) && migrate_is(&p->t, i + 1, "("))
		ask_for_none(p, i + 1);
	else if (is_get(r))
		migrate_say(p->m, name->start, true,
			    "get_variable is handed on as a value: of an "
			    "absent variable it raises NotFoundError");
}

/* A word that names the module. */
static void take_module(struct python *p, size_t i)
{
	if (migrate_is(&p->t, i + 1, ".") && migrate_is_word(&p->t, i + 2))
		take_member(p, i + 2);
	else if (!migrate_is(&p->t, i - (i > 0), "import") &&
		 !migrate_is(&p->t, i - (i > 0), "from") &&
		 !migrate_is(&p->t, i - (i > 0), "as") &&
		 !migrate_is(&p->t, i - (i > 0), ","))
		migrate_say(p->m, start_of(p, i), true,
			    "the module is used as a value: what is called on "
			    "it cannot be seen");
}

static void take_bare(struct python *p, size_t i)
{
	for (size_t k = 0; k < p->n_names; k++) {
		if (!same(&p->t, i, &p->names[k].name) ||
		    p->t.items[i].start == p->names[k].name.start)
			continue;
		if (is_get(p->names[k].rename) && migrate_is(&p->t, i + 1, "("))
			ask_for_none(p, i + 1);
		if (!strcmp(p->names[k].rename->old, "event") &&
		    migrate_is(&p->t, i + 1, "("))
			note_event(p, i);
	}
}

/* Code in an f-string is left as it is. */
static void look_into(struct python *p, const struct migrate_token *token)
{
	char call[64];

	for (size_t k = 0; k < p->n_modules; k++)
		for (size_t i = 0; i < ARRAY_SIZE(renames); i++) {
			snprintf(call, sizeof(call), "%.*s.%s(",
				 (int)MIN(p->modules[k].len, 32),
				 p->t.text + p->modules[k].start,
				 renames[i].old);
			if ((renames[i].is_old || is_get(&renames[i])) &&
			    migrate_contains(p->t.text + token->start,
					     token->len, call))
				migrate_say(p->m, token->start, true,
					    "%s…) within an f-string is left: "
					    "it is %s in the SDK",
					    call, renames[i].new);
		}
}

static bool uses_old_names(const struct python *p)
{
	for (size_t i = 0; i + 2 < p->t.n; i++) {
		const struct rename *r;

		if (!is_module(p, i) || !migrate_is(&p->t, i + 1, "."))
			continue;
		r = find_rename(&p->t, i + 2);
		if (r && r->is_old)
			return true;
	}
	return false;
}

static void take_calls(struct python *p)
{
	const struct migrate_tokens *t = &p->t;

	for (size_t i = 0; i < t->n; i++) {
		bool member = i && migrate_is(t, i - 1, ".");

		if (t->items[i].kind == MIGRATE_TEMPLATE)
			look_into(p, &t->items[i]);
		else if (!member && is_module(p, i))
			take_module(p, i);
		else if (!member)
			take_bare(p, i);
	}
}

static void take_files(struct python *p)
{
	const struct migrate_token *token;

	for (size_t i = 0; i < p->t.n; i++) {
		token = &p->t.items[i];
		if (token->kind == MIGRATE_STRING ||
		    token->kind == MIGRATE_TEMPLATE)
			migrate_say_files(p->m, token->start, token->len,
					  MIGRATE_PYTHON);
	}
}

void migrate_python(struct migrate *m, bool helper_beside)
{
	struct python p = { .m = m };
	size_t at = 0;
	int r = migrate_lex_python(m->text, m->len, &p.t, &at);

	if (r == -EINVAL)
		migrate_say(m, at, true,
			    "from here on this is not readable as Python: "
			    "nothing is changed");
	if (r == -ENOMEM)
		m->out_of_memory = true;
	if (!r) {
		take_imports(&p);
		if (p.n_modules + p.n_names && helper_beside)
			migrate_say(m,
				    p.n_modules ? p.modules[0].start
						: p.names[0].name.start,
				    true,
				    "remove the cronium.py beside the script: "
				    "Python would load it instead of the SDK");
		/* Both have get_variable: of the SDK's nothing is to be
		 * changed. */
		if (helper_beside || p.old || uses_old_names(&p))
			take_calls(&p);
		take_files(&p);
	}
	migrate_tokens_deinit(&p.t);
}
