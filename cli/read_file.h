/* Reading what a word of the command line names. */
#pragma once

#include <stddef.h>

#include "common/buf.h"
#include "common/macro.h"

/* All of a file, or of stdin for "-", at most max bytes. what: "script". 0, or
 * -EINVAL after an error message. */
int read_file(const char *what, const char *path, size_t max,
	      struct buf *out) MUST_CHECK;
