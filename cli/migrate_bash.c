/*
 * Bash: `source ./cronium.sh` and its functions. Values of variables were
 * plain text; the SDK's are JSON. Commands are found where they stand, also
 * within "$(…)"; what is quoted otherwise, and here-documents, are not
 * touched.
 */
#include <ctype.h>
#include <string.h>

#include "cli/migrate_impl.h"

#define NESTED_MAX 64
#define WORDS_MAX 16   /* of a command, that are looked at */
#define HEREDOCS_MAX 8 /* that wait for the end of their line */

struct word {
	size_t start, end;
};

struct heredoc {
	struct word delimiter;
	bool quoted, tabs;
};

struct bash {
	struct migrate *m;
	const char *text;
	size_t at, len;
	int depth;
	bool broken;
	struct heredoc heredocs[HEREDOCS_MAX];
	size_t n_heredocs;
};

static void scan(struct bash *b, char until);

static char peek(const struct bash *b, size_t n)
{
	return b->at + n < b->len ? b->text[b->at + n] : '\0';
}

static void give_up(struct bash *b, const char *what)
{
	if (!b->broken)
		migrate_say(b->m, MIN(b->at, b->len), true,
			    "%s; nothing more is changed", what);
	b->broken = true;
	b->at = b->len;
}

/* --- words ---------------------------------------------------------------- */

static void skip_single(struct bash *b, bool escapes)
{
	for (b->at++; b->at < b->len && b->text[b->at] != '\''; b->at++)
		if (escapes && b->text[b->at] == '\\')
			b->at++;
	if (b->at >= b->len)
		give_up(b, "a quote is not closed");
	else
		b->at++;
}

static void scan_substitution(struct bash *b, char until)
{
	if (++b->depth > NESTED_MAX) {
		give_up(b, "commands are nested too deep");
	} else {
		scan(b, until);
		if (peek(b, 0) == until)
			b->at++;
		else
			give_up(b, "a command substitution is not closed");
	}
	b->depth--;
}

static void skip_braces(struct bash *b);
static void skip_double(struct bash *b);

static void skip_arithmetic(struct bash *b)
{
	int depth = 0;

	while (b->at < b->len) {
		char c = peek(b, 0);

		if (c == '$' && peek(b, 1) == '(' && peek(b, 2) != '(') {
			b->at += 2;
			scan_substitution(b, ')');
			continue;
		}
		depth += (c == '(') - (c == ')');
		b->at++;
		if (!depth)
			return;
	}
	give_up(b, "an arithmetic expression is not closed");
}

/* At a $: what it begins. */
static void skip_dollar(struct bash *b)
{
	if (peek(b, 1) == '(' && peek(b, 2) == '(') {
		b->at++;
		skip_arithmetic(b);
	} else if (peek(b, 1) == '(') {
		b->at += 2;
		scan_substitution(b, ')');
	} else if (peek(b, 1) == '{') {
		b->at += 2;
		skip_braces(b);
	} else {
		b->at++;
	}
}

/* One character, or what it begins, of a word or of "…". */
static void skip_one(struct bash *b)
{
	switch (peek(b, 0)) {
	case '\\':
		b->at += 2;
		break;
	case '$':
		skip_dollar(b);
		break;
	case '`':
		b->at++;
		scan_substitution(b, '`');
		break;
	default:
		b->at++;
	}
}

static void skip_double(struct bash *b)
{
	b->at++;
	while (b->at < b->len && peek(b, 0) != '"')
		skip_one(b);
	if (b->at >= b->len)
		give_up(b, "a quote is not closed");
	else
		b->at++;
}

static void skip_braces(struct bash *b)
{
	while (b->at < b->len && peek(b, 0) != '}') {
		if (peek(b, 0) == '"')
			skip_double(b);
		else
			skip_one(b);
	}
	b->at++;
}

static void skip_word_part(struct bash *b)
{
	if (peek(b, 0) == '\'')
		skip_single(b, false);
	else if (peek(b, 0) == '$' && peek(b, 1) == '\'') {
		b->at++;
		skip_single(b, true);
	} else if (peek(b, 0) == '"')
		skip_double(b);
	else
		skip_one(b);
}

static bool ends_word(char c)
{
	return !c || strchr(" \t\r\n;&|()<>", c);
}

static struct word take_word(struct bash *b, char until)
{
	struct word w = { b->at, 0 };

	while (b->at < b->len && !ends_word(peek(b, 0)) &&
	       !(until == '`' && peek(b, 0) == '`'))
		skip_word_part(b);
	b->at = MIN(b->at, b->len);
	w.end = b->at;
	return w;
}

static bool is(const struct bash *b, const struct word *w, const char *text)
{
	size_t len = strlen(text);

	return w->end - w->start == len &&
	       !memcmp(b->text + w->start, text, len);
}

/* --- here-documents ------------------------------------------------------- */

static void add_heredoc(struct bash *b)
{
	struct heredoc h = { .tabs = peek(b, 0) == '-' };

	b->at += h.tabs;
	while (peek(b, 0) == ' ' || peek(b, 0) == '\t')
		b->at++;
	h.delimiter = take_word(b, 0);
	for (size_t i = h.delimiter.start; i < h.delimiter.end; i++)
		h.quoted |= strchr("'\"\\", b->text[i]) != NULL;
	if (b->n_heredocs < HEREDOCS_MAX)
		b->heredocs[b->n_heredocs++] = h;
	else
		give_up(b, "there are too many here-documents in a line");
}

/* Whether the line is the delimiter, its quotes aside. */
static bool is_delimiter(const struct bash *b, const struct heredoc *h,
			 size_t start, size_t end)
{
	while (h->tabs && start < end && b->text[start] == '\t')
		start++;
	for (size_t i = h->delimiter.start; i < h->delimiter.end; i++) {
		if (strchr("'\"\\", b->text[i]))
			continue;
		if (start == end || b->text[start++] != b->text[i])
			return false;
	}
	return start == end;
}

static void skip_heredoc(struct bash *b, const struct heredoc *h)
{
	size_t start = b->at;

	while (b->at < b->len) {
		const char *nl = memchr(b->text + b->at, '\n', b->len - b->at);
		size_t end = nl ? (size_t)(nl - b->text) : b->len;
		bool last = is_delimiter(b, h, b->at, end);

		b->at = MIN(end + 1, b->len);
		if (last)
			break;
	}
	if (!h->quoted &&
	    migrate_contains(b->text + start, b->at - start, "cronium_"))
		migrate_say(b->m, start, true,
			    "a here-document calls functions of the helper: it "
			    "is left");
}

static void skip_heredocs(struct bash *b)
{
	for (size_t i = 0; i < b->n_heredocs; i++)
		skip_heredoc(b, &b->heredocs[i]);
	b->n_heredocs = 0;
}

/* --- commands ------------------------------------------------------------- */

static void change_source(struct bash *b, const struct word *words, size_t n)
{
	static const char file[] = "/cronium.sh";
	const struct word *w = &words[1];
	size_t len = sizeof(file) - 1, end;

	if (n < 2)
		return;
	end = w->end - (w->end > w->start && (b->text[w->end - 1] == '"' ||
					      b->text[w->end - 1] == '\''));
	if (end >= w->start + len && !memcmp(b->text + end - len, file, len))
		migrate_replace(b->m, w->start, w->end - w->start,
				"cronium.sh");
}

static void change_get(struct bash *b, const struct word *words, size_t n)
{
	if (n == 2)
		migrate_replace(b->m, words[1].end, 0, " '\"\"' | jq -r .");
}

static void change_set(struct bash *b, const struct word *words, size_t n)
{
	const struct word *v = &words[2];

	if (n != 3) {
		migrate_say(b->m, words[0].start, true,
			    "cronium_set_variable takes KEY VALUE, and VALUE "
			    "is JSON in the SDK");
		return;
	}
	if (is(b, v, "-") ||
	    migrate_contains(b->text + v->start, v->end - v->start, "jq -n "))
		return;
	migrate_replace(b->m, v->start, 0, "\"$(jq -n --arg v ");
	migrate_replace(b->m, v->end, 0, " '$v')\"");
}

static void change_command(struct bash *b, const struct word *words, size_t n)
{
	if (is(b, &words[0], "source") || is(b, &words[0], ".")) {
		change_source(b, words, n);
	} else if (is(b, &words[0], "cronium_get_variable")) {
		change_get(b, words, n);
	} else if (is(b, &words[0], "cronium_set_variable")) {
		change_set(b, words, n);
	} else if (is(b, &words[0], "cronium_output") && n == 1) {
		migrate_replace(b->m, words[0].end, 0, " -");
	} else if (is(b, &words[0], "cronium_event")) {
		migrate_replace(b->m, words[0].start,
				words[0].end - words[0].start,
				"cronium_get_event_context");
		migrate_say(b->m, words[0].start, false,
			    "cronium_event was event.json; "
			    "cronium_get_event_context is the job's context: "
			    "look at the members that are read");
	}
}

/* --- lists of commands ---------------------------------------------------- */

struct command {
	struct word words[WORDS_MAX];
	size_t n;
	bool redirected; /* the next word is a file's name */
	int cases, parens;
};

static bool is_keyword(const struct bash *b, const struct word *w)
{
	static const char *const words[] = {
		"if",   "then", "else", "elif", "do", "while", "until",
		"time", "!",    "{",    "in",   "fi", "done",  "}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (is(b, w, words[i]))
			return true;
	return false;
}

/* NAME=value in front of a command. */
static bool is_assignment(const struct bash *b, const struct word *w)
{
	size_t i = w->start;

	while (i < w->end && (isalnum((unsigned char)b->text[i]) ||
			      strchr("_+[]", b->text[i])))
		i++;
	return i > w->start && i < w->end && b->text[i] == '=';
}

static void end_command(struct bash *b, struct command *c)
{
	if (c->n)
		change_command(b, c->words, c->n);
	c->n = 0;
	c->redirected = false;
}

static void add_word(struct bash *b, struct command *c, const struct word *w)
{
	migrate_say_files(b->m, w->start, w->end - w->start, MIGRATE_BASH);
	if (c->redirected) {
		c->redirected = false;
		return;
	}
	if (!c->n && is(b, w, "case"))
		c->cases++;
	if (!c->n && is(b, w, "esac") && c->cases)
		c->cases--;
	if (!c->n && (is_keyword(b, w) || is_assignment(b, w)))
		return;
	if (c->n < WORDS_MAX)
		c->words[c->n++] = *w;
}

static void take_redirection(struct bash *b, struct command *c)
{
	if (peek(b, 0) == '<' && peek(b, 1) == '<' && peek(b, 2) != '<') {
		b->at += 2;
		add_heredoc(b);
	} else if (peek(b, 1) == '(') { /* <(…) and >(…) are words */
		b->at += 2;
		scan_substitution(b, ')');
		c->redirected = false;
	} else {
		/* A number in front of it is no argument. */
		if (c->n && c->words[c->n - 1].end == b->at &&
		    c->words[c->n - 1].end - c->words[c->n - 1].start == 1 &&
		    isdigit((unsigned char)b->text[b->at - 1]))
			c->n--;
		while (peek(b, 0) && strchr("<>&|", peek(b, 0)))
			b->at++;
		c->redirected = true;
	}
}

/* NAME=(…): words, none of which is a command. */
static void skip_array(struct bash *b)
{
	b->at++;
	while (b->at < b->len && peek(b, 0) != ')') {
		if (ends_word(peek(b, 0)))
			b->at++;
		else
			take_word(b, ')');
	}
	b->at = MIN(b->at + 1, b->len);
}

/* False: the list is at its end. */
static bool take_parenthesis(struct bash *b, struct command *c, char until)
{
	if (peek(b, 0) == '(') {
		if (peek(b, 1) == '(') {
			skip_arithmetic(b);
			return true;
		}
		if (b->at && b->text[b->at - 1] == '=') {
			skip_array(b);
			return true;
		}
		c->parens++;
		c->n = 0; /* f(): no command */
	} else if (c->parens) {
		c->parens--;
		end_command(b, c);
	} else if (c->cases) {
		c->n = 0; /* a pattern */
	} else if (until == ')') {
		return false;
	}
	b->at++;
	return true;
}

/* Something that is no word. False: the list is at its end. */
static bool take_operator(struct bash *b, struct command *c, char until)
{
	char ch = peek(b, 0);

	if (ch == '\\' && peek(b, 1) == '\n') {
		b->at += 2;
	} else if (ch == '(' || ch == ')') {
		return take_parenthesis(b, c, until);
	} else if (ch == '<' || ch == '>' || (ch == '&' && peek(b, 1) == '>')) {
		take_redirection(b, c);
	} else if (ch == '\n' || ch == ';' || ch == '&' || ch == '|') {
		end_command(b, c);
		b->at++;
		if (ch == '\n')
			skip_heredocs(b);
	} else {
		b->at++; /* white space */
	}
	return true;
}

static void skip_comment(struct bash *b)
{
	while (b->at < b->len && peek(b, 0) != '\n')
		b->at++;
}

/* To the unquoted character `until`, or to the end. */
static void scan(struct bash *b, char until)
{
	struct command c = { .n = 0 };

	while (b->at < b->len && !(until == '`' && peek(b, 0) == '`')) {
		char ch = peek(b, 0);

		if (ch == '#') {
			skip_comment(b);
		} else if (!ends_word(ch) &&
			   !(ch == '\\' && peek(b, 1) == '\n')) {
			const struct word w = take_word(b, until);

			add_word(b, &c, &w);
		} else if (!take_operator(b, &c, until)) {
			break;
		}
	}
	end_command(b, &c);
}

void migrate_bash(struct migrate *m)
{
	struct bash b = { .m = m, .text = m->text, .len = m->len };

	scan(&b, '\0');
	skip_heredocs(&b);
}
