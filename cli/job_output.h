/* What a job's script set as its output. */
#pragma once

#include "cli/api.h"
#include "common/buf.h"
#include "common/macro.h"

/* The output as the script gave it, byte for byte; nothing is appended where
 * there is none. 0, or negative after an error message. */
int job_output_fetch(struct api *api, const char *id,
		     struct buf *out) MUST_CHECK;
/* On stdout, with a newline at its end. 0, or negative after a message. */
int job_output_print(struct buf *output) MUST_CHECK;
/* Any bytes on stdout. 0, or negative after a message. */
int job_output_write(const struct buf *bytes) MUST_CHECK;
