/*
 * Keeps the leases of the executions that are with this agent, and hears of
 * those that are cancelled or lost.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "common/macro.h"

struct backend_client;
struct event_base;
struct heartbeat;

/* Until the backend has said how long a lease is. */
#define HEARTBEAT_LEASE_MS 30000
#define HEARTBEAT_PER_LEASE 3

struct heartbeat_ops {
	/* [{"id","epoch"}], a new reference; NULL: nothing to report. */
	json_t *(*list)(void *ctx);
	void (*on_cancel)(void *ctx, const char *execution, const char *reason);
	void (*on_lost)(void *ctx, const char *execution);
};

/* name is copied. 0 or -ENOMEM. */
int heartbeat_new(struct heartbeat **out, struct event_base *base,
		  struct backend_client *client, const char *name,
		  const struct heartbeat_ops *ops, void *ctx) MUST_CHECK;
/* NULL is fine. Not from within its callbacks. */
void heartbeat_free(struct heartbeat *h);
/* A lease as an assignment names it: beats come often enough for it. */
void heartbeat_set_lease(struct heartbeat *h, uint32_t lease_ms);
