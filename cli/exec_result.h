/* The result of a capability's job, for people, and what `cronium exec` ends
 * with. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/macro.h"

/* Its log is what one wants to see, on stdout and stderr as it came. */
bool exec_result_is_log(const char *capability);

/* Prints the output of a job that succeeded. 0, or negative after a message. */
int exec_result_print(const char *capability, const json_t *job,
		      const json_t *output) MUST_CHECK;
/* The job's exit code; of a command that was run, the command's. */
int exec_result_exit_code(const json_t *job, const json_t *output);
