/*
 * Percent-encoding (RFC 3986) of one path segment or query value: all but
 * letters, digits and "-._~" is escaped.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"

struct buf;

#define PERCENT_ENCODED_BYTES(n) (3 * (n) + 1) /* with the NUL */

/* Writes at most PERCENT_ENCODED_BYTES(strlen(s)); returns the length. */
size_t percent_encode(const char *s, char *out);
/* Appends. 0 or -ENOMEM. */
int percent_append(struct buf *b, const char *s) MUST_CHECK;
/* Appends "&NAME=VALUE"; NULL: nothing. The same. */
int percent_append_query(struct buf *b, const char *name,
			 const char *value) MUST_CHECK;

/*
 * Decodes len bytes into out, which has size bytes, with a NUL; in a query a
 * plus is a space. 0, or -EINVAL for a bad escape, a NUL, or what is too long.
 */
int percent_decode(const char *s, size_t len, bool plus_is_space, char *out,
		   size_t size) MUST_CHECK;
