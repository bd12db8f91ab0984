/*
 * What a script did, as JSON, secrets masked:
 *
 *   {"exit_code","signal","timed_out","output","no_output","condition",
 *    "variables":{…written…},"deleted":[…],"output_stream":[…],
 *    "output_stream_ended","tool_calls":[{"tool","action","params"}]}
 */
#pragma once

#include <jansson.h>

#include "common/macro.h"

struct buf;
struct dev_log;
struct dev_result;
struct dev_state;

/* NULL on ENOMEM. */
json_t *dev_report_new(const struct dev_state *state,
		       const struct dev_result *result);
/* The part that a test expects; NULL on ENOMEM. */
json_t *dev_report_expect(const json_t *report);
/* In lines on stderr. */
void dev_report_print(const json_t *report, struct dev_log *log);
/* The fixtures with what is expected, in the form that the file's name asks
 * for. 0 or negative errno. */
int dev_report_save(const char *file, const json_t *fixtures,
		    const json_t *report) MUST_CHECK;
