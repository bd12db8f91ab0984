/*
 * The control stream to the orchestrator: connects (the socket may appear a
 * moment later), says READY, reports what the orchestrator asks for, and
 * registers secrets for redaction.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"

struct control;
struct event_base;

#define CONTROL_CONNECT_MS 10000 /* until the socket exists and answers */
#define CONTROL_RETRY_MS 20
#define CONTROL_REDACT_MS 10000 /* until a REDACT is acknowledged */
#define CONTROL_REDACT_PENDING_MAX 1024

struct control_ops {
	/* payloads are valid during the call only */
	void (*on_assign)(const void *json, size_t len, void *ctx);
	void (*on_input)(const void *data, size_t len, void *ctx);
	void (*on_revoke)(const char *jti, void *ctx);
	void (*on_drain)(void *ctx);
	/* Once: could not connect, or the stream ended; a sentence for a log. */
	void (*on_lost)(const char *reason, void *ctx);
};

/* address: a path, or "fd:N" for a connected descriptor, which is taken.
 * ready (copied) is the payload of READY, sent as soon as there is a stream. */
int control_new(struct control **out, struct event_base *base,
		const char *address, const char *ready,
		const struct control_ops *ops, void *ctx) MUST_CHECK;
/* The same with a connected descriptor, which is taken, also on error. */
int control_new_fd(struct control **out, struct event_base *base, int fd,
		   const char *ready, const struct control_ops *ops,
		   void *ctx) MUST_CHECK;
/* Redactions under way are told false. */
void control_free(struct control *c);
DEFINE_CLEANUP(struct control *, control_free)

/* 0 or negative errno; a stream that broke is reported by on_lost. */
int control_assigned(struct control *c) MUST_CHECK;
int control_drained(struct control *c, const void *stats,
		    size_t len) MUST_CHECK;

/*
 * Tells the orchestrator to mask a secret. done is called once, never from
 * within: true when it will be masked from now on, false when that is not
 * certain. 0, -EBUSY over CONTROL_REDACT_PENDING_MAX, or negative errno.
 */
int control_redact(struct control *c, const void *value, size_t len,
		   void (*done)(bool masked, void *ctx), void *ctx) MUST_CHECK;
