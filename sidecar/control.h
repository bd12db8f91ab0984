/*
 * The control stream to the orchestrator: connects (the socket may appear a
 * moment later), says READY, reports what the orchestrator asks for, and
 * registers secrets for redaction.
 *
 *   CONNECTING ──▶ OPEN ──▶ AWAY ──▶ KNOCKING ──▶ OPEN
 *        │           │       ▲─────────┘ │
 *        │           │       └───────────┴──▶ LOST: nobody took us up within
 *        └───────────┴──────────────────────▶ LOST               keep_ms
 *
 * AWAY      of a control that is kept: no stream, another one is tried
 * KNOCKING  connected again, READY was sent, RESUME is awaited. Then the next
 *           orchestrator is told the backend token and all secrets that the
 *           last one was told, and ACK 0.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

struct control;
struct event_base;
struct sockaddr_un;

#define CONTROL_CONNECT_MS 10000 /* until the socket exists and answers */
#define CONTROL_RETRY_MS 20

struct control_ops {
	/* payloads are valid during the call only */
	void (*on_assign)(const void *json, size_t len, void *ctx);
	void (*on_input)(const void *data, size_t len, void *ctx);
	void (*on_revoke)(const char *jti, void *ctx);
	void (*on_drain)(void *ctx);
	void (*on_dismiss)(void *ctx);
	/* Once: LOST, with a sentence for a log. */
	void (*on_lost)(const char *reason, void *ctx);
};

/* address: a path, or "fd:N" for a connected descriptor, which is taken.
 * again (copied): where to connect when the stream is lost; NULL: nowhere, and
 * no control is ever kept. ready (copied) is the payload of READY, a JSON
 * object, sent as soon as there is a stream. */
int control_new(struct control **out, struct event_base *base,
		const char *address, const struct sockaddr_un *again,
		const char *ready, const struct control_ops *ops,
		void *ctx) MUST_CHECK;
/* The same with a connected descriptor, which is taken, also on error. */
int control_new_fd(struct control **out, struct event_base *base, int fd,
		   const char *ready, const struct control_ops *ops,
		   void *ctx) MUST_CHECK;
/* Redactions under way are told false. */
void control_free(struct control *c);
DEFINE_CLEANUP(struct control *, control_free)

/* From now on it is kept; 0: it is not. The strings are copied. 0 or negative
 * errno. */
int control_keep(struct control *c, uint64_t keep_ms, const char *execution,
		 const char *backend_token) MUST_CHECK;
/* Not any more where there are more secrets than sidecar/secrets.h keeps. */
bool control_is_kept(const struct control *c);

/* 0 or negative errno; a stream that broke is reported by on_lost. While nobody
 * is there nothing is said: who comes next asks again. */
int control_assigned(struct control *c) MUST_CHECK;
int control_drained(struct control *c, const void *stats,
		    size_t len) MUST_CHECK;

/*
 * Tells the orchestrator to mask a secret, now or when it is back; value stays
 * where it is until done is called: once, never from within, true when it will
 * be masked from now on, false when that is not certain after
 * REDACTIONS_MS. 0, -EBUSY over REDACTIONS_PENDING_MAX, or negative
 * errno.
 */
int control_redact(struct control *c, const void *value, size_t len,
		   void (*done)(bool masked, void *ctx), void *ctx) MUST_CHECK;
