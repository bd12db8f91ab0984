/* Jobs as JSON: the job object of the API, and the context that a script may
 * read. Pure. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/buf.h"
#include "common/macro.h"

struct store_job;
struct waiting;

/* The job object, with what it waits for (NULL: nothing); NULL on ENOMEM. */
json_t *job_json(const struct store_job *job, const struct waiting *waiting);
/* Appends it as text. 0 or -ENOMEM. */
int job_json_append(struct buf *out, const struct store_job *job,
		    const struct waiting *waiting) MUST_CHECK;

/* The context; needs job->spec. NULL on ENOMEM. */
json_t *job_context_json(const struct store_job *job, bool read_only);

/* When the job has to be over, counted from its claim; 0: no limit. */
int64_t job_deadline_ms(const struct store_job *job, const json_t *spec);
