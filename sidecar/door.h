/*
 * The sidecar's end of its door to the orchestrator (ARCHITECTURE.md, The
 * egress proxy): asks for connections to the outside, and is given connections
 * of the script that came another way.
 *
 *   OPEN ──▶ AWAY ──▶ OPEN     of a door that is kept: what was asked for and
 *     └──▶ SHUT                not answered is asked for again
 */
#pragma once

#include <stdint.h>

#include "common/macro.h"

struct door;
struct door_call;
struct event_base;
struct sockaddr_un;

#define DOOR_CALLS_MAX 64  /* not answered yet; more wait */
#define DOOR_CALL_MS 30000 /* above the orchestrator's own deadline */
#define DOOR_AWAY_MS 10000 /* then a call is refused while nobody is there */

struct door_result {
	int fd;              /* connected, of the receiver; or -1 */
	const char *refused; /* the contract's word, where fd is -1 */
	const char *detail;  /* a sentence, where fd is -1 */
};

typedef void (*door_result_fn)(void *ctx, const struct door_result *result);

struct door_ops {
	/* A connection of the script, of the receiver's. */
	void (*on_api)(void *ctx, int fd);
	void (*on_proxy)(void *ctx, int fd);
	/* A gateway's: whose door it is; may be NULL. */
	void (*on_execution)(void *ctx, const char *execution);
	/* It is SHUT: every call was told so before. Once; the door is not to
	 * be freed from within. */
	void (*on_lost)(void *ctx, const char *reason);
};

/* address: a path, or "fd:N" for a connected descriptor, which is taken. 0 or
 * negative errno. */
int door_new(struct door **out, struct event_base *base, const char *address,
	     const struct door_ops *ops, void *ctx) MUST_CHECK;
/* fd: connected, SOCK_SEQPACKET; taken, also on error. */
int door_new_fd(struct door **out, struct event_base *base, int fd,
		const struct door_ops *ops, void *ctx) MUST_CHECK;
/* From now on it is kept: when it is lost, it connects to this address again,
 * for as long as it lives. 0 or -ENOMEM. */
int door_keep(struct door *d, const struct sockaddr_un *again) MUST_CHECK;
/* Calls are dropped without a word: their owners are gone before. */
void door_free(struct door *d);

/*
 * Asks for a connection. done is called once, from the loop; the call is gone
 * then. 0; -EBUSY over DOOR_CALLS_MAX, -EPIPE where the door is shut, or
 * another negative errno.
 */
int door_connect(struct door *d, const char *host, uint16_t port,
		 door_result_fn done, void *ctx,
		 struct door_call **out) MUST_CHECK;
/* The answer is not wanted any more; NULL is fine. */
void door_call_cancel(struct door_call *call);
