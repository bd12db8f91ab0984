#include "backend/pattern_subset.h"

#include <stddef.h>

#include "common/token.h"

/*
 * q matches p as if p were a text: a "*" of p can stand for anything, so that
 * nothing but a "*" of q covers it.
 */
bool pattern_within(const char *p, const char *q)
{
	const char *star = NULL, *from = NULL;

	while (*p) {
		if (*q == '*') {
			star = ++q;
			from = p;
		} else if (*q == *p) {
			q++;
			p++;
		} else if (star) {
			q = star;
			p = ++from;
		} else {
			return false;
		}
	}
	while (*q == '*')
		q++;
	return !*q;
}

bool pattern_within_any(const char *p, const struct token_patterns *set)
{
	for (size_t i = 0; i < set->n; i++)
		if (pattern_within(p, set->items[i]))
			return true;
	return false;
}
