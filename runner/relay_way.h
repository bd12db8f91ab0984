/* One direction of a relayed connection: from one socket to another. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

struct event;
struct event_base;

struct relay_way {
	int from, to; /* borrowed, non-blocking */
	uint8_t *bytes;
	size_t len, sent;
	struct event *readable, *writable;
	bool ended;  /* from has ended, and to was told */
	bool failed; /* the whole connection is of no use */
	void (*on_ended)(void *ctx);
	void *ctx;
};

/* Zeroed before. on_ended: ended or failed was set; may deinit. 0 or
 * -ENOMEM. */
int relay_way_init(struct relay_way *w, struct event_base *base, int from,
		   int to, void (*on_ended)(void *ctx), void *ctx) MUST_CHECK;
void relay_way_deinit(struct relay_way *w);
