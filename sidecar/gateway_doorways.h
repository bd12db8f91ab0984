/*
 * The doors of a gateway's executions (doorway.h): each connection to its door
 * socket is one, and the first message there says whose. What goes through a
 * door ends with it, and with its execution's seat.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

struct event_base;
struct gateway_doorways;
struct http_server;
struct seat_entry;
struct seat_table;

struct gateway_doorways_config {
	struct event_base *base;
	struct http_server *server;
	const struct seat_table *seats;
	const char *address; /* "listen:PATH" */
};

/* What config points to outlives it. 0, or negative errno with a sentence in
 * err. */
int gateway_doorways_new(struct gateway_doorways **out,
			 const struct gateway_doorways_config *config,
			 char *err, size_t err_size) MUST_CHECK;
/* NULL is fine, here and below. */
void gateway_doorways_free(struct gateway_doorways *g);

/* Nothing goes in or out for it any more; before its seat is freed. */
void gateway_doorways_end(struct gateway_doorways *g,
			  const struct seat_entry *e);
/* Of all proxies. */
uint32_t gateway_doorways_connections(const struct gateway_doorways *g);
