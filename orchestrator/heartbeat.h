/*
 * Keeps the leases of the executions that are with this agent, hears of those
 * that are cancelled or lost, and says how the agent is.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/macro.h"

struct backend_client;
struct event_base;
struct heartbeat;

/* Until the backend has said how long a lease is. */
#define HEARTBEAT_LEASE_MS 30000
#define HEARTBEAT_PER_LEASE 3
/* While there are pods, of which people may want to see how they do. */
#define HEARTBEAT_LIVE_MS 2000
/* While the backend must know something that it was not told yet. */
#define HEARTBEAT_UNTOLD_MS 500
#define HEARTBEAT_CUT_OFF(lease_ms) ((lease_ms) / 6 * 5)

struct heartbeat_ops {
	/* The body, a new reference; NULL: out of memory. */
	json_t *(*body)(void *ctx);
	/* Whether there are pods. */
	bool (*live)(void *ctx);
	/* The backend has a body that was made when, or after, heartbeat_now()
	 * was last called. */
	void (*on_told)(void *ctx);
	void (*on_cancel)(void *ctx, const char *execution, const char *reason);
	void (*on_lost)(void *ctx, const char *execution);
	/* No beat was answered for HEARTBEAT_CUT_OFF of the lease: soon the
	 * backend gives what is listed to others. */
	void (*on_cut_off)(void *ctx);
};

/* name is copied. 0 or -ENOMEM. */
int heartbeat_new(struct heartbeat **out, struct event_base *base,
		  struct backend_client *client, const char *name,
		  const struct heartbeat_ops *ops, void *ctx) MUST_CHECK;
/* NULL is fine. Not from within its callbacks. */
void heartbeat_free(struct heartbeat *h);
/* Tells how things are at once, not at the next beat, and until the backend has
 * it. Fine inside its callbacks. */
void heartbeat_now(struct heartbeat *h);
/* There are pods now, while there were none. */
void heartbeat_note_live(struct heartbeat *h);
/* The same of a process that has just started: tells the backend what is left
 * of the earlier one, and that it has nothing else; repeated until it is
 * answered. Then the other callbacks come, and done. 0 or -ENOMEM. */
int heartbeat_recover(struct heartbeat *h, void (*done)(void *ctx)) MUST_CHECK;
/* The backend has just been heard of otherwise. */
void heartbeat_heard(struct heartbeat *h);
/* A lease as an assignment names it: beats come often enough for it. */
void heartbeat_set_lease(struct heartbeat *h, uint32_t lease_ms);
