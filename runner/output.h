/*
 * One output of the script: a pipe whose bytes become frames. Holds nothing
 * back and reads only what the line has room for.
 */
#pragma once

#include <stdbool.h>

#include "common/frame.h"

struct event;
struct event_base;
struct line;

/* Outcomes of output_pump(). */
enum {
	OUTPUT_E_EMPTY = 1, /* nothing to read now */
	OUTPUT_E_FULL,      /* the line is full, or it was enough for once */
	OUTPUT_E_END,       /* every writer has closed; so have we */
};

struct output {
	int fd; /* -1 when it has ended */
	enum frame_type type;
	struct event *readable;
	uint64_t max_bytes; /* then what is read is dropped; 0: no limit */
	uint64_t bytes;     /* read so far */
	uint64_t dropped;
	bool mid_line; /* the last byte that went on ended no line */
};

/* Sets all but max_bytes, and takes fd. on_readable(fd, what, ctx). 0 or
 * -ENOMEM. */
int output_init(struct output *o, struct event_base *base, int fd,
		enum frame_type type, void (*on_readable)(int, short, void *),
		void *ctx) MUST_CHECK;
void output_deinit(struct output *o);

void output_start(struct output *o);
void output_stop(struct output *o);
/* Moves a bounded number of bytes, and says so when the first is dropped.
 * OUTPUT_E_*, or negative errno. */
int output_pump(struct output *o, struct line *line) MUST_CHECK;
/* Adds a notice of how many bytes were dropped, if any. 0 or negative errno. */
int output_tell_dropped(const struct output *o, struct line *line) MUST_CHECK;
