/* Addresses of a name, asked of getent(1): see doors.h. */
#pragma once

#include <stddef.h>

#include "common/macro.h"

#define LOOKUP_ADDRESS_BYTES 64
#define LOOKUP_MAX_MS 5000

/* At most max different ones, in the order of preference. Blocks, at most
 * LOOKUP_MAX_MS. 0 (also with none) or negative errno. */
int lookup(const char *name, char (*out)[LOOKUP_ADDRESS_BYTES], size_t max,
	   size_t *n) MUST_CHECK;
