/* JavaScript and TypeScript: enough to tell code from strings, templates,
 * regular expressions and comments. */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "cli/migrate_impl.h"

#define TEMPLATE_DEPTH_MAX 32

static bool is_word(unsigned char c)
{
	return isalnum(c) || c == '_' || c == '$' || c >= 0x80;
}

static const char *skip_quoted(const char *p, const char *end)
{
	char quote = *p;

	for (p++; p < end && *p != '\n'; p++) {
		if (*p == '\\')
			p++;
		else if (*p == quote)
			return p + 1;
	}
	return NULL;
}

static const char *skip_template(const char *p, const char *end, int depth);

/* Behind the } of a ${ in a template; p stands behind the {. */
static const char *skip_code(const char *p, const char *end, int depth)
{
	int braces = 1;

	while (p && p < end) {
		if (*p == '"' || *p == '\'') {
			p = skip_quoted(p, end);
			continue;
		}
		if (*p == '`') {
			p = skip_template(p, end, depth + 1);
			continue;
		}
		braces += (*p == '{') - (*p == '}');
		p++;
		if (!braces)
			return p;
	}
	return NULL;
}

static const char *skip_template(const char *p, const char *end, int depth)
{
	if (depth > TEMPLATE_DEPTH_MAX)
		return NULL;
	p++;
	while (p && p < end) {
		if (*p == '`')
			return p + 1;
		if (*p == '$' && p + 1 < end && p[1] == '{')
			p = skip_code(p + 2, end, depth);
		else
			p += *p == '\\' ? 2 : 1;
	}
	return NULL;
}

static const char *skip_regex(const char *p, const char *end)
{
	bool in_class = false;

	for (p++; p < end && *p != '\n'; p++) {
		if (*p == '\\') {
			p++;
		} else if (*p == '[' || *p == ']') {
			in_class = *p == '[';
		} else if (*p == '/' && !in_class) {
			for (p++; p < end && isalpha((unsigned char)*p);)
				p++;
			return p;
		}
	}
	return NULL;
}

/* Whether a / after what was read begins a regular expression. */
static bool regex_may_follow(const struct migrate_tokens *t)
{
	static const char *const words[] = {
		"return", "typeof", "case",  "in",         "of",
		"delete", "void",   "throw", "new",        "else",
		"do",     "yield",  "await", "instanceof",
	};
	size_t last = t->n - 1;

	if (!t->n)
		return true;
	if (t->items[last].kind == MIGRATE_PUNCT)
		return !migrate_is(t, last, ")") && !migrate_is(t, last, "]") &&
		       !migrate_is(t, last, "}");
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (migrate_is(t, last, words[i]))
			return true;
	return false;
}

static const char *skip_punct(const char *p, const char *end)
{
	static const char *const longer[] = { "=>",  "?.", "**",
					      "...", "++", "--" };

	for (size_t i = 0; i < ARRAY_SIZE(longer); i++) {
		size_t n = strlen(longer[i]);

		if ((size_t)(end - p) >= n && !memcmp(p, longer[i], n))
			return p + n;
	}
	return p + 1;
}

static const char *skip_token(const char *p, const char *end,
			      const struct migrate_tokens *t,
			      enum migrate_kind *kind)
{
	*kind = MIGRATE_STRING;
	if (*p == '"' || *p == '\'')
		return skip_quoted(p, end);
	if (*p == '/' && regex_may_follow(t))
		return skip_regex(p, end);
	*kind = MIGRATE_TEMPLATE;
	if (*p == '`')
		return skip_template(p, end, 0);
	*kind = MIGRATE_PUNCT;
	if (!is_word((unsigned char)*p))
		return skip_punct(p, end);
	*kind = isdigit((unsigned char)*p) ? MIGRATE_NUMBER : MIGRATE_WORD;
	while (p < end && is_word((unsigned char)*p))
		p++;
	return p;
}

/* Behind the comment at p, or p where there is none; NULL: it has no end. */
static const char *skip_comment(const char *p, const char *end, bool first)
{
	const char *next;

	if (end - p < 2 || (*p != '/' && !(first && *p == '#')))
		return p;
	if (p[1] == '/' || (*p == '#' && p[1] == '!')) {
		next = memchr(p, '\n', (size_t)(end - p));
		return next ? next : end;
	}
	if (*p != '/' || p[1] != '*')
		return p;
	next = memmem(p + 2, (size_t)(end - p) - 2, "*/", 2);
	return next ? next + 2 : NULL;
}

int migrate_lex_node(const char *text, size_t len, struct migrate_tokens *out,
		     size_t *at)
{
	const char *p = text, *end = text + len, *next;
	enum migrate_kind kind;

	out->text = text;
	while (p < end) {
		*at = (size_t)(p - text);
		if (isspace((unsigned char)*p)) {
			p++;
			continue;
		}
		next = skip_comment(p, end, p == text);
		if (!next)
			return -EINVAL;
		if (next != p) {
			p = next;
			continue;
		}
		next = skip_token(p, end, out, &kind);
		if (!next || next > end)
			return -EINVAL;
		if (migrate_tokens_add(out, kind, *at, (size_t)(next - text)) <
		    0)
			return -ENOMEM;
		p = next;
	}
	return 0;
}
