/*
 * The grammar of a request's head, by llhttp in its strict mode. On its own
 * because llhttp's names (HTTP_GET …) and ours do not go together. Pure.
 */
#pragma once

#include <stddef.h>

#include "common/http/header.h"
#include "common/macro.h"

/*
 * text is a complete, NUL-terminated head; names become lower case and are,
 * like values, ended with a NUL inside it. *n_fields is the number of lines
 * after the first, for which fields has room; there must be as many fields.
 * Returns 0, or the HTTP status to refuse with and *why.
 */
int fields_parse(char *text, size_t len, struct http_header *fields,
		 size_t *n_fields, const char **why) MUST_CHECK;
