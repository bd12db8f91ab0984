/*
 * Where a member of a JSON object lies in the text, so that a user's value
 * can be cut out byte for byte instead of being parsed and printed again
 * (which would change 1.10 or an integer of thirty digits). Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct json_span {
	size_t start, len; /* of the value */
};

/*
 * text: one JSON object that json_check() has accepted. False when it has no
 * such member. The name must be written without escapes to be found.
 */
bool json_span_find(const char *text, size_t len, const char *name,
		    struct json_span *out);
