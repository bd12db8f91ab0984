/*
 * The orchestrator's end of a sidecar's door (ARCHITECTURE.md, The egress
 * proxy): answers what the job's script wants to connect to, by the job's
 * rules. Connections that came another way (SSH) are handed in by who has them
 * (ssh_sidecar.h).
 *
 * What waits at the door waits in its socket: no more than
 * DOOR_CONNECTS_MAX are under way, and no more than DOOR_PER_10S begin in ten
 * seconds; then it is not read.
 */
#pragma once

#include "common/macro.h"

struct allow_list;
struct door;
struct event_base;
struct runtime_allow;

#define DOOR_CONNECTS_MAX 16 /* under way */
#define DOOR_PER_10S 500     /* requests */

struct door_ops {
	/* A line for the job's log. */
	void (*on_notice)(void *ctx, const char *line);
	/* It is closed: the sidecar ended, or broke the protocol. Not to be
	 * freed from within; once. */
	void (*on_lost)(void *ctx, const char *reason);
};

struct door_config {
	struct event_base *base;
	const struct allow_list *allow;  /* --egress-allow; outlives the door */
	const struct runtime_allow *net; /* the job's permission, copied */
	const struct door_ops *ops;
	void *ctx;
};

/* fd: connected, SOCK_SEQPACKET; taken, also on error. 0 or negative errno;
 * callbacks come from the loop only. */
int door_new(struct door **out, const struct door_config *config,
	     int fd) MUST_CHECK;
/* Whatever is under way is dropped; connections that were handed out are the
 * sidecar's. NULL is fine. */
void door_free(struct door *d);
