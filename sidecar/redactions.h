/*
 * What of the job's log is to be masked: secrets that the orchestrator is being
 * told, and, where its successor will have to know them, those it was told.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/macro.h"
#include "sidecar/secrets.h"

struct event_base;
struct frame_stream;
struct redaction;

#define REDACTIONS_MS 10000 /* until a REDACT is acknowledged */
#define REDACTIONS_PENDING_MAX 1024

struct redactions {
	struct event_base *base;
	TAILQ_HEAD(, redaction) pending;
	size_t n_pending;
	uint32_t last_id;
	bool kept;
	bool too_many;          /* to be said again */
	struct secrets secrets; /* where kept: those that were told */
};

void redactions_init(struct redactions *rs, struct event_base *base);
/* Those under way are told false before. */
void redactions_deinit(struct redactions *rs);

/* From now on what is told is kept; token is the first. 0 or -ENOMEM. */
int redactions_keep(struct redactions *rs, const char *token) MUST_CHECK;
/* Whether all can be said again. */
bool redactions_are_kept(const struct redactions *rs);

/*
 * Says REDACT on stream; NULL: there is none now, and where they are kept it is
 * said when there is. value stays where it is until done is called: once, never
 * from within; false: it is not certain. 0, -EBUSY over REDACTIONS_PENDING_MAX,
 * or negative errno.
 */
int redactions_ask(struct redactions *rs, struct frame_stream *stream,
		   const void *value, size_t len,
		   void (*done)(bool masked, void *ctx), void *ctx) MUST_CHECK;
/* An ACK's payload. */
void redactions_take_ack(struct redactions *rs, const void *payload,
			 size_t len);
/* All that was told, and all that is pending. As frame_stream_send(). */
int redactions_say_again(struct redactions *rs,
			 struct frame_stream *stream) MUST_CHECK;
/* Nobody will ever answer. */
void redactions_fail(struct redactions *rs);
