/*
 * Identifiers: PREFIX_ and 26 characters of lower-case Crockford base32, 48
 * bits of wall-clock milliseconds then 80 random bits (a ULID), so that they
 * sort by creation time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define ID_MAX_BYTES 40 /* longest prefix, '_', 26 characters, NUL */

/* prefix: at most 12 letters, e.g. "job". Aborts if the kernel has no
 * randomness to give: nothing safe can be done then. */
void id_new(const char *prefix, char out[ID_MAX_BYTES]);
/* True for a well-formed identifier with this prefix. */
bool id_valid(const char *prefix, const char *id);
