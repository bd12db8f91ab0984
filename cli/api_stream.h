/*
 * A reply of the server that goes on, such as a log that is followed. One that
 * breaks off is asked for again, from where its owner stands, as patience.h
 * has it.
 *
 *   ASKING ──▶ OPEN ──(broke off, silent)──▶ WAITING ──▶ ASKING
 *     └─(no answer, 503)─────────────────────▲
 *
 * From each of them: OVER, with api_stream_finish(). ops->on_lost, on_refused
 * and, where it returns true, on_end have called it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/api.h"
#include "cli/patience.h"
#include "common/buf.h"
#include "common/frame.h"
#include "common/macro.h"

struct backend_call;
struct event;
struct slow_note;

enum api_stream_state {
	API_STREAM_WAITING,
	API_STREAM_ASKING,
	API_STREAM_OPEN,
	API_STREAM_OVER,
};

/* All from the loop. */
struct api_stream_ops {
	/* Appends the path to ask for now; what was half read comes again. 0
	 * or -ENOMEM. */
	int (*on_ask)(void *ctx, struct buf *path);
	void (*on_data)(void *ctx, const uint8_t *data, size_t len);
	/* The body ended, whole: as it should. True: that is the end; false:
	 * ask again. */
	bool (*on_end)(void *ctx, bool whole);
	/* Asked again for too long, the last time with this result. */
	void (*on_lost)(void *ctx, const char *why);
	/* The server will not; for api_explain(). */
	void (*on_refused)(void *ctx, const struct api_reply *reply);
	/* Ctrl-C, SIGTERM. */
	void (*on_interrupt)(void *ctx);
};

/* On the owner's stack; the first members are set by it. */
struct api_stream {
	struct api *api;
	const struct api_stream_ops *ops;
	void *ctx;
	const char *accept;      /* NULL: any type */
	unsigned int silence_ms; /* of a peer that is dead; 0: for ever */

	enum api_stream_state state; /* private, like the rest */
	struct backend_call *call;
	struct api_reply reply; /* one that is no stream */
	struct patience patience;
	struct slow_note *note; /* while there is no answer */
	struct event *again, *silence, *signals[2];
	int result;
};

/* Asks, and goes on in the loop until api_stream_finish(), whose result it
 * returns; otherwise, after a message, where memory runs out. */
int api_stream_run(struct api_stream *s, int otherwise);
/* The first one counts. */
void api_stream_finish(struct api_stream *s, int result);
bool api_stream_is_over(const struct api_stream *s);
/* For on_data of a stream of frames: each of them, until it is over. 0, or what
 * frame_decoder_next() returns of a stream that is broken. */
int api_stream_feed(struct api_stream *s, struct frame_decoder *decoder,
		    const uint8_t *data, size_t len,
		    void (*on_frame)(void *ctx,
				     const struct frame *frame)) MUST_CHECK;
