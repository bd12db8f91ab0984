/* Reading an option that is JSON: itself, "@FILE", or "-" for stdin. */
#pragma once

#include <stddef.h>

#include "common/buf.h"
#include "common/macro.h"

/* One JSON value of at most max bytes, as it was written. option: "params". 0,
 * or negative after an error message. */
int read_json(const char *option, const char *value, size_t max,
	      struct buf *out) MUST_CHECK;
