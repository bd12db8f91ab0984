/*
 * A job's log for programs: a line {"stream":"stdout","text":"…"} for each
 * piece, on stdout. A character that two pieces share is kept for the second.
 */
#pragma once

#include <stddef.h>

#include "common/frame.h"
#include "common/macro.h"

#define LOG_FRAME_UTF8_MAX_BYTES 4

/* Zero-initialised at the start of a log. */
struct log_frame {
	struct {
		char bytes[LOG_FRAME_UTF8_MAX_BYTES];
		size_t n;
	} held[FRAME_NOTICE + 1]; /* by stream */
};

/* f is STDOUT, STDERR or NOTICE. 0 or negative errno; -EPIPE when nobody
 * reads. */
int log_frame_print_json(struct log_frame *log,
			 const struct frame *f) MUST_CHECK;
/* What was held back: the log is over. */
int log_frame_finish_json(struct log_frame *log) MUST_CHECK;
