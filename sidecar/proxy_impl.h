/* Shared by proxy.c and proxy_conn.c; nobody else includes it. */
#pragma once

#include "sidecar/proxy.h"
#include "sidecar/proxy_conn.h"

TAILQ_HEAD(proxy_conns, proxy_conn);

#define PROXY_LISTENERS_MAX 2

struct proxy {
	struct event_base *base;
	struct door *door;
	struct metrics *metrics;
	struct event *listeners[PROXY_LISTENERS_MAX];
	size_t n_listeners;
	struct event *turn; /* frees the dead, lets the next ones in */
	struct proxy_conns conns, dead, waiting;
	uint32_t n_conns;
	uint8_t *scratch; /* PROXY_PUMP_BYTES */
};

/* Something has changed that others may wait for. */
void proxy_wake(struct proxy *p);
