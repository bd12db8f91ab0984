#include "backend/json_span.h"

#include <string.h>

struct cursor {
	const char *text;
	size_t len, at;
};

static bool at_space(const struct cursor *c)
{
	return c->at < c->len && strchr(" \t\r\n", c->text[c->at]) &&
	       c->text[c->at] != '\0';
}

static void skip_space(struct cursor *c)
{
	while (at_space(c))
		c->at++;
}

/* From the opening quote to after the closing one. */
static void skip_string(struct cursor *c)
{
	for (c->at++; c->at < c->len && c->text[c->at] != '"'; c->at++)
		if (c->text[c->at] == '\\')
			c->at++;
	c->at++;
}

/* To the comma or bracket that follows the value. */
static void skip_value(struct cursor *c)
{
	size_t depth = 0;

	while (c->at < c->len) {
		char ch = c->text[c->at];

		if (ch == '"') {
			skip_string(c);
			continue;
		}
		if (depth == 0 && (ch == ',' || ch == '}' || ch == ']'))
			return;
		if (ch == '{' || ch == '[')
			depth++;
		else if (ch == '}' || ch == ']')
			depth--;
		c->at++;
	}
}

static bool key_is(const struct cursor *c, size_t start, const char *name)
{
	size_t len = strlen(name);

	return c->at - start == len + 2 &&
	       !memcmp(c->text + start + 1, name, len);
}

bool json_span_find(const char *text, size_t len, const char *name,
		    struct json_span *out)
{
	struct cursor c = { text, len, 0 };

	skip_space(&c);
	if (c.at == len || text[c.at] != '{')
		return false;
	for (c.at++; c.at < len; c.at++) {
		skip_space(&c);
		if (c.at >= len || text[c.at] != '"')
			return false;
		size_t key = c.at;
		skip_string(&c);
		bool found = key_is(&c, key, name);
		skip_space(&c);
		c.at++; /* the colon */
		skip_space(&c);
		out->start = c.at;
		skip_value(&c);
		if (found && c.at <= len) {
			out->len = c.at - out->start;
			while (out->len &&
			       strchr(" \t\r\n",
				      text[out->start + out->len - 1]))
				out->len--;
			return true;
		}
	}
	return false;
}
