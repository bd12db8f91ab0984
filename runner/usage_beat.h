/* Tells every now and then what the script's side uses, while it runs. */
#pragma once

#include <stdbool.h>

#include "common/macro.h"

struct event_base;
struct line;
struct usage_beat;

#define USAGE_BEAT_FIRST_MS 500 /* most scripts have ended by then */
#define USAGE_BEAT_MS 2000

/* The line must outlive it. Without memory *out is NULL, and nobody is told:
 * nothing hangs on it. */
void usage_beat_start(struct usage_beat **out, struct event_base *base,
		      struct line *line, bool own_cgroup);
/* *u may be NULL, and is afterwards. */
void usage_beat_stop(struct usage_beat **u);
