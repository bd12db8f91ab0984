/* Lines of the runner's own in the job's log. */
#pragma once

#include "common/macro.h"

struct frame_stream;

/* text has no newline. As frame_stream_send(). */
int notice_send(struct frame_stream *stream, const char *text) MUST_CHECK;
