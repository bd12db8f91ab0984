/* What a job object of the API says, for people and for exit codes. Pure. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* NAME and what follows, as `cronium job` shows it. */
#define JOB_LINE_FORMAT "%-10s "

bool job_view_ended(const json_t *job);
/* OUTPUT_* for its state. */
const char *job_view_colour(const json_t *job);
/* What `cronium run` ends with: the script's own code, 128 + its signal, or
 * CLI_TIMED_OUT, CLI_CANCELLED, CLI_NOT_RUN. */
int job_view_exit_code(const json_t *job);
/* Milliseconds from its start to its end, or to now_ms; -1: not started. */
int64_t job_view_duration_ms(const json_t *job, int64_t now_ms);
/* Says, where a part of the log was not kept, how much is missing. */
void job_view_warn_dropped(const json_t *job);
/* A sentence for one that did not succeed: what, why, what next. NULL where the
 * exit code says it all. */
const char *job_view_sentence(const json_t *job, char *out, size_t size);
