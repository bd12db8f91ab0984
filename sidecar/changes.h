/*
 * Keeps the cache true: hears of every change of a variable, and forgets what
 * is older. Begins when there is something cached for the first time; until
 * the stream is there, and while it is lost, a value is believed for its time
 * to live.
 */
#pragma once

#include <stdbool.h>

#include "sidecar/change_stream.h"

/* Embedded by value. */
struct changes {
	struct change_stream stream;
	bool wanted;
	bool known;     /* a position */
	bool told_lost; /* in the log */
};

void changes_init(struct changes *c, struct execution *x);
void changes_deinit(struct changes *c);

/* Something is cached. Cheap; the backend is asked after this turn. */
void changes_want(struct changes *c);
