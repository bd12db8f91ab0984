/* Lines of the runner's own in the job's log. */
#pragma once

#include "common/macro.h"

struct line;

/* text has no newline. As line_log(). */
int notice_send(struct line *line, const char *text) MUST_CHECK;
