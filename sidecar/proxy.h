/*
 * The egress proxy (ARCHITECTURE.md): HTTP for programs that know no other way
 * out. It takes CONNECT and plain requests, asks for the connection at the
 * door, and pumps bytes; what may be reached is the orchestrator's to say.
 *
 * Over PROXY_CONNECTIONS_MAX nobody is accepted until somebody has gone.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

struct door;
struct event_base;
struct metrics;
struct option_list;
struct proxy;

#define PROXY_CONNECTIONS_MAX 256
#define PROXY_HEAD_MS 30000  /* from the connection to the end of its head */
#define PROXY_OPEN_MS 60000  /* until the door has answered */
#define PROXY_IDLE_MS 900000 /* without a byte in either direction */
/* The same of a tunnel of which one side has closed its end. */
#define PROXY_HALF_IDLE_MS 60000
#define PROXY_LINGER_MS 2000 /* after a refusal, until the client has gone */

/* All must outlive the proxy. 0 or -ENOMEM. */
int proxy_new(struct proxy **out, struct event_base *base, struct door *door,
	      struct metrics *metrics) MUST_CHECK;
/* Closes everything at once. NULL is fine. */
void proxy_free(struct proxy *p);

/* "HOST:PORT" (localhost: both loopbacks, where there is IPv6) or "fd:N". 0,
 * or negative errno. */
int proxy_listen(struct proxy *p, const char *address) MUST_CHECK;
/* A connected socket, which is taken. */
void proxy_adopt(struct proxy *p, int fd);

uint32_t proxy_connections(const struct proxy *p);
