/* A job as `run` and `submit` ask for it: options, script and input, checked
 * here as far as that saves a round trip, then sent as frames. */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/job_options.h"
#include "common/buf.h"
#include "common/macro.h"

#define JOB_SCRIPT_MAX_BYTES (10 * 1024 * 1024)
#define JOB_INPUT_MAX_BYTES (10 * 1024 * 1024)

struct api;

/* Has an input stream: from --input-stream or --input-from. */
bool job_request_streams(const struct job_options *o);
/* words: SCRIPT (- is stdin), then the script's arguments. open: others may
 * send to its input stream. 0, or -EINVAL after an error message; body is to be
 * freed in any case. */
int job_request_build(const struct job_options *o, char **words, size_t n_words,
		      bool open, struct buf *body) MUST_CHECK;
/* Sends it: the job object, or NULL after an error message. */
json_t *job_request_submit(struct api *api, const struct buf *body);
