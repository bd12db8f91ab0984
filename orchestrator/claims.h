/*
 * The claim stream: the backend pushes assignments and cancellations, for as
 * long as this exists. Reconnects by itself.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "common/macro.h"

struct assignment;
struct backend_client;
struct claims;
struct event_base;

/* Silence of this many FRAME_HEARTBEAT_MS means that the stream is dead. */
#define CLAIMS_SILENT_BEATS 3
#define CLAIMS_RETRY_MIN_MS 50
#define CLAIMS_RETRY_MAX_MS 2000

struct claims_ops {
	/* The stream is there, for the first time or again. */
	void (*on_open)(void *ctx);
	/* Taken over by the receiver. why is NULL, or says what makes it
	 * impossible to run; then only execution and epoch are set. */
	void (*on_assignment)(void *ctx, struct assignment *a, const char *why);
	void (*on_cancel)(void *ctx, const char *execution, int64_t epoch,
			  const char *reason);
	/* Something to note: what the backend's EVENT says. */
	void (*on_event)(void *ctx, const char *type, json_t *event);
};

struct claims_config {
	struct event_base *base;
	struct backend_client *client;
	const char *name; /* of this agent */
	uint32_t slots;
	const char *executors; /* "docker,sandbox" */
	const char *labels;    /* "gpu=yes,zone=a", or "" */
};

/* Strings of config are copied. 0 or -ENOMEM. */
int claims_new(struct claims **out, const struct claims_config *config,
	       const struct claims_ops *ops, void *ctx) MUST_CHECK;
/* NULL is fine. Not from within its callbacks. */
void claims_free(struct claims *c);
