/*
 * Requests that came before the assignment wait here, a bounded number for a
 * bounded time, and are served once it is there.
 */
#pragma once

#include <stddef.h>
#include <sys/queue.h>

#include "common/macro.h"

struct event;
struct event_base;
struct held;
struct request;

#define HOLD_REQUESTS_MAX 64
#define HOLD_MS 10000

/* Embedded by value. */
struct hold {
	STAILQ_HEAD(, held) requests; /* oldest first */
	size_t n;
	struct event *timer;
};

int hold_init(struct hold *h, struct event_base *base) MUST_CHECK;
/* The server was freed before. */
void hold_deinit(struct hold *h);

/* Keeps the exchange, or answers 503. */
void hold_add(struct hold *h, struct request *req);

struct http_exchange;
/* Hands out the oldest, NULL when there is none. */
struct http_exchange *hold_take(struct hold *h);
