/* Python: enough to tell code from strings and comments. */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "cli/migrate_impl.h"

static bool is_word(unsigned char c)
{
	return isalnum(c) || c == '_' || c >= 0x80;
}

/* Bytes of a string's prefix at p, before its quote; *format: it has code in
 * it. -1: no string begins here. */
static int prefix(const char *p, const char *end, bool *format)
{
	int n = 0;

	*format = false;
	while (n < 2 && p + n < end && p[n] && strchr("rRbBuUfFtT", p[n])) {
		*format |= strchr("fFtT", p[n]) != NULL;
		n++;
	}
	return p + n < end && (p[n] == '"' || p[n] == '\'') ? n : -1;
}

/* Behind the string whose quote is at p; NULL where it has no end. */
static const char *skip_string(const char *p, const char *end)
{
	char quote = *p;
	bool triple = end - p >= 3 && p[1] == quote && p[2] == quote;

	for (p += triple ? 3 : 1; p < end; p++) {
		if (*p == '\\')
			p++;
		else if (*p == '\n' && !triple)
			return NULL;
		else if (*p == quote && !triple)
			return p + 1;
		else if (*p == quote && end - p >= 3 && p[1] == quote &&
			 p[2] == quote)
			return p + 3;
	}
	return NULL;
}

/* Behind the token at p, which is none of white space. */
static const char *skip(const char *p, const char *end, enum migrate_kind *kind)
{
	bool format;
	int n = prefix(p, end, &format);

	if (n >= 0) {
		*kind = format ? MIGRATE_TEMPLATE : MIGRATE_STRING;
		return skip_string(p + n, end);
	}
	if (!is_word((unsigned char)*p)) {
		*kind = MIGRATE_PUNCT;
		return p + 1;
	}
	*kind = isdigit((unsigned char)*p) ? MIGRATE_NUMBER : MIGRATE_WORD;
	while (p < end && is_word((unsigned char)*p))
		p++;
	return p;
}

int migrate_lex_python(const char *text, size_t len, struct migrate_tokens *out,
		       size_t *at)
{
	const char *p = text, *end = text + len, *next;
	enum migrate_kind kind;

	out->text = text;
	while (p < end) {
		if (*p == '#') {
			next = memchr(p, '\n', (size_t)(end - p));
			p = next ? next : end;
		} else if (isspace((unsigned char)*p) || *p == '\\') {
			p++;
		} else {
			next = skip(p, end, &kind);
			*at = (size_t)(p - text);
			if (!next)
				return -EINVAL;
			if (migrate_tokens_add(out, kind, *at,
					       (size_t)(next - text)) < 0)
				return -ENOMEM;
			p = next;
		}
	}
	return 0;
}
