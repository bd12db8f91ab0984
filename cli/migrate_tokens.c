/* Tokens of a script, and what stands around one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/migrate_impl.h"

int migrate_tokens_add(struct migrate_tokens *t, enum migrate_kind kind,
		       size_t start, size_t end)
{
	struct migrate_token *items = t->items;

	if (!(t->n & (t->n - 1))) { /* room is for 1, 2, 4, 8 … */
		items = reallocarray(items, t->n ? t->n * 2 : 1,
				     sizeof(*items));
		if (!items)
			return -ENOMEM;
		t->items = items;
	}
	items[t->n++] = (struct migrate_token){ kind, start, end - start };
	return 0;
}

void migrate_tokens_deinit(struct migrate_tokens *t)
{
	free(t->items);
	*t = (struct migrate_tokens){ 0 };
}

bool migrate_is(const struct migrate_tokens *t, size_t i, const char *text)
{
	size_t len = strlen(text);

	return i < t->n && t->items[i].kind != MIGRATE_STRING &&
	       t->items[i].kind != MIGRATE_TEMPLATE && t->items[i].len == len &&
	       !memcmp(t->text + t->items[i].start, text, len);
}

bool migrate_is_word(const struct migrate_tokens *t, size_t i)
{
	return i < t->n && t->items[i].kind == MIGRATE_WORD;
}

bool migrate_begins_line(const struct migrate_tokens *t, size_t i)
{
	size_t before;

	if (!i || i >= t->n)
		return true;
	before = t->items[i - 1].start + t->items[i - 1].len;
	return memchr(t->text + before, '\n', t->items[i].start - before);
}

static int step(const struct migrate_tokens *t, size_t i)
{
	if (migrate_is(t, i, "(") || migrate_is(t, i, "[") ||
	    migrate_is(t, i, "{"))
		return 1;
	if (migrate_is(t, i, ")") || migrate_is(t, i, "]") ||
	    migrate_is(t, i, "}"))
		return -1;
	return 0;
}

size_t migrate_closing(const struct migrate_tokens *t, size_t i)
{
	int depth = 0;

	for (; i < t->n; i++) {
		depth += step(t, i);
		if (depth <= 0)
			return i;
	}
	return t->n;
}

size_t migrate_count_arguments(const struct migrate_tokens *t, size_t i)
{
	size_t end = migrate_closing(t, i), n = 1;
	int depth = 0;

	if (end == i + 1)
		return 0;
	for (size_t k = i + 1; k < end; k++) {
		depth += step(t, k);
		if (!depth && migrate_is(t, k, ",") && k + 1 < end)
			n++;
	}
	return n;
}
