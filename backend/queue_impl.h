/* What queue.c and queue_agents.c share. */
#pragma once

#include "backend/queue.h"

struct event;

struct queue {
	struct backend *b;
	struct agent *agents; /* by name */
	struct event *heartbeat, *expire, *wake;
	uint64_t claims;  /* begun so far */
	uint64_t turn;    /* grows whenever there may be something to claim */
	int64_t ahead_ms; /* of our clock, the store's: as it was last */
	int64_t jump_ms;  /* of that, what does not count yet */
	uint64_t jump_until_ms;
	int64_t queued; /* how many jobs wait, as far as is known */
	bool expiring, stopped;
	char problem[QUEUE_PROBLEM_BYTES]; /* of the last claim, or "" */
};

/* Pumps at the end of this loop turn: callers may be in the middle of
 * something. */
void queue_wake(struct queue *q);
