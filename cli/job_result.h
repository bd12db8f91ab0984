/* What a command says of a job that it has waited for. */
#pragma once

#include <jansson.h>

#include "common/buf.h"
#include "common/macro.h"

/* Everything about it as one JSON object on stdout: job, state, reason,
 * exit_code, signal, executor, log_dropped_bytes, duration_ms, output; the
 * output as it is. 0, or negative after a message. */
int job_result_print_json(const json_t *job,
			  const struct buf *output) MUST_CHECK;
/* On stderr: why it did not succeed; or, on a terminal, how long it took. */
void job_result_explain(const json_t *job);
