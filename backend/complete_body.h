/*
 * What an agent says of how an execution ended: the body of `complete`. What is
 * absent or null is not known; the rest is what the job will say for ever, so
 * nothing is read into what is something else. Pure.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "backend/store_queue.h"
#include "common/buf.h"
#include "common/macro.h"

struct store_complete;

#define COMPLETE_TELEMETRY_MAX_BYTES (16 * 1024)
#define COMPLETE_WHY_BYTES 160

/*
 * Fills in all but the lease; strings point into body, out->telemetry into the
 * buffer. 0, -EINVAL with a sentence in why and the problem's code in *code,
 * or -ENOMEM.
 */
int complete_body_parse(const json_t *body, struct store_complete *out,
			struct buf *telemetry, const char **code,
			char why[COMPLETE_WHY_BYTES]) MUST_CHECK;
