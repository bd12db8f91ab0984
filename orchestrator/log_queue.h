/*
 * What of one log waits to be sent: frames as the backend takes them, and with
 * each of them how far it goes in the runner's own streams, so that whoever
 * takes up the log after us knows where it goes on. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/frame.h"
#include "common/macro.h"
#include "common/redact.h"

/* FRAME_STDOUT, FRAME_STDERR and FRAME_NOTICE as they come from a runner. */
enum log_stream { LOG_STDOUT, LOG_STDERR, LOG_NOTICE, LOG_STREAMS };
#define LOG_MASKED_STREAMS 2 /* notices hold no secrets */

/* A place in what a runner says: payload bytes of each stream, from the first
 * on, and what their masking is in the middle of. */
struct log_position {
	uint64_t raw[LOG_STREAMS];
	struct redact_state masks[LOG_MASKED_STREAMS];
};

/* Where one stream has come to. */
struct log_mark {
	enum log_stream stream;
	uint64_t raw;
	struct redact_state mask; /* of the first two streams */
};

struct log_queue {
	struct buf entries;
	size_t payload;           /* that waits */
	struct log_position head; /* behind what was taken */
	struct log_position tail; /* behind what was put */
};

void log_queue_deinit(struct log_queue *q);
/* Before anything is put: the next byte comes from there. */
void log_queue_begin(struct log_queue *q, const struct log_position *at);

static inline bool log_queue_empty(const struct log_queue *q)
{
	return !q->entries.len;
}

/*
 * Puts payload, as frames of type that each stand alone. Behind it the stream
 * of mark is there; NULL: these are no bytes of a runner's. With a mark there
 * may be no payload. 0 or -ENOMEM.
 */
int log_queue_put(struct log_queue *q, enum frame_type type, const void *data,
		  size_t len, const struct log_mark *mark) MUST_CHECK;
/* Moves what was put, in whole, to body: at least one, and no more than max
 * bytes in all. *payload: how many bytes of payload. 0 or -ENOMEM. */
int log_queue_take(struct log_queue *q, size_t max, struct buf *body,
		   size_t *payload) MUST_CHECK;
/* Forgets what waits: head is at tail. */
void log_queue_drop(struct log_queue *q);
