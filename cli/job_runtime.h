/* What runs a job's script, and how: the runtime block of its specification. */
#pragma once

#include <jansson.h>

#include "cli/job_options.h"
#include "common/buf.h"
#include "common/macro.h"

/* By --runtime, the suffix of path, or the script's first line. 0, or -EINVAL
 * after an error message. */
int job_runtime_find(const struct job_options *o, const char *path,
		     const struct buf *script, const char **runtime) MUST_CHECK;
/* The block with what was asked for, nothing else: a new reference, or NULL
 * after an error message. type may be NULL: it is not known here. */
json_t *job_runtime_block(const struct job_options *o, const char *type);
