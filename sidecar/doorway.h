/*
 * A door with what is behind it: connections of the script that come in by it
 * go to the HTTP server or to the egress proxy, which asks at it for those that
 * go out. A pod's sidecar has at most one, a gateway one for each execution
 * that needs it.
 */
#pragma once

#include <stdint.h>

#include "common/macro.h"

struct doorway;
struct event_base;
struct http_server;
struct metrics;
struct sockaddr_un;

struct doorway_config {
	struct event_base *base;
	struct http_server *server;
	/* Where the proxy counts. NULL, in a gateway: the door's first message
	 * says whose it is, and on_execution, asked with the script's first
	 * connection, whose metrics those are; NULL for an execution that is
	 * not here, and nothing is proxied. */
	struct metrics *metrics;
	struct metrics *(*on_execution)(void *ctx, const char *execution);
	/* The door is shut; not to be freed from within; may be NULL. */
	void (*on_lost)(void *ctx, const char *reason);
	void *ctx;
};

/* What config points to outlives it. address as in door_new(). 0 or negative
 * errno. */
int doorway_new(struct doorway **out, const struct doorway_config *config,
		const char *address) MUST_CHECK;
/* fd: connected, SOCK_SEQPACKET; taken, also on error. */
int doorway_new_fd(struct doorway **out, const struct doorway_config *config,
		   int fd) MUST_CHECK;
/* Closes what goes through the proxy; the HTTP server keeps what it got. NULL
 * is fine. */
void doorway_free(struct doorway *d);

/* As door_keep(). */
int doorway_keep(struct doorway *d, const struct sockaddr_un *again) MUST_CHECK;

/* The proxy listens, too: as in proxy_listen(). */
int doorway_listen(struct doorway *d, const char *address) MUST_CHECK;
/* Of the proxy; d may be NULL. */
uint32_t doorway_connections(const struct doorway *d);
