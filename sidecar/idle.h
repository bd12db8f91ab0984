/*
 * Gives memory back (memory.h) once nothing was asked for a while: start-up,
 * an assignment and the first token touch much that is not needed again. The
 * span doubles from IDLE_FIRST_MS to IDLE_LATER_MS.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/macro.h"

#define IDLE_FIRST_MS 100
#define IDLE_LATER_MS 2000

struct event;
struct event_base;
struct http_server;

/* Embedded by value; zero-initialise. */
struct idle {
	const struct http_server *server; /* whose requests count */
	struct event *look;
	unsigned int look_ms; /* until the next look */
	uint64_t requests;    /* at the last look */
	bool settled;
};

/* 0 or -ENOMEM. */
int idle_init(struct idle *i, struct event_base *base,
	      const struct http_server *server) MUST_CHECK;
void idle_deinit(struct idle *i);

/* Something large was done: looks soon, then less and less often. */
void idle_look_soon(struct idle *i);
