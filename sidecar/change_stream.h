/*
 * The backend's stream of changes (ARCHITECTURE.md: Changes of variables), of
 * all variables or of one, for as long as somebody wants it: when it is lost
 * it is asked for again from where it stood, with growing pauses.
 *
 *   IDLE ──▶ ASKING ──▶ OPEN
 *              ▲ │        │
 *              │ ▼        │ lost, or silent
 *            WAITING ◀────┘
 *              └────────────────▶ REFUSED   the backend will not have it (4xx)
 *
 * Each change is told once, in the order of versions. Nothing is told while the
 * stream is held: the backend's call is paused, and of it no more is kept than
 * CLIENT_STREAM_WINDOW_BYTES and one message.
 */
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/frame.h"
#include "common/http/trace.h"
#include "common/macro.h"

struct backend_call;
struct backend_response;
struct change_stream;
struct execution;

#define CHANGE_STREAM_SILENCE_MS (3 * FRAME_HEARTBEAT_MS)
#define CHANGE_STREAM_BACKOFF_INITIAL_MS 50
#define CHANGE_STREAM_BACKOFF_MAX_MS 2000
#define CHANGE_STREAM_KEY_BYTES 256
#define CHANGE_STREAM_REFUSAL_BYTES 16384 /* of a problem document */

enum change_stream_state {
	CHANGE_STREAM_IDLE,
	CHANGE_STREAM_ASKING,
	CHANGE_STREAM_OPEN,
	CHANGE_STREAM_WAITING,
	CHANGE_STREAM_REFUSED,
};

struct change {
	const char *key;
	uint64_t version;
	bool deleted;
	bool secret;
	bool snapshot;        /* how things are, rather than a write */
	const uint8_t *value; /* NULL: deleted, or of the stream of all keys */
	size_t len;
};

/* Everything handed over is valid during the call only. */
struct change_stream_ops {
	/* The stream goes on from version; reset: changes before it are
	 * missing, and a stream of one key tells how it is now. */
	void (*on_position)(struct change_stream *s, uint64_t version,
			    bool reset);
	void (*on_change)(struct change_stream *s, const struct change *c);
	/* Once for each attempt that failed; it will be made again. */
	void (*on_lost)(struct change_stream *s, const char *why);
	/* Once, and the last: the stream may be freed in here. */
	void (*on_refused)(struct change_stream *s,
			   const struct backend_response *r);
};

/* Embedded by value. */
struct change_stream {
	struct execution *execution;
	const struct change_stream_ops *ops;
	enum change_stream_state state;
	const char *key; /* NULL: all; the owner's */
	char trace[TRACE_BYTES];
	struct backend_call *call; /* ASKING, OPEN */
	struct event timer;        /* silence, or the pause */
	struct event turn;         /* after change_stream_release() */
	struct frame_decoder decoder;
	struct buf refusal; /* body of a reply that is no stream */
	int64_t version;    /* all up to this one were told; -1: none */
	unsigned int failures;
	bool streaming; /* the reply is a stream */
	bool held, heard;
	bool has_change; /* waits for its VALUE */
	struct change change;
	char change_key[CHANGE_STREAM_KEY_BYTES + 1];
};

/* key: NULL for all; it stays the caller's, for as long as the stream is.
 * trace: NULL for the job's. from: -1 for none. */
void change_stream_init(struct change_stream *s, struct execution *x,
			const struct change_stream_ops *ops, const char *key,
			const char *trace, int64_t from);
/* No callback from within. Once. */
void change_stream_start(struct change_stream *s);
/* Nothing is called any more. Fine inside the stream's callbacks where the
 * memory stays. */
void change_stream_deinit(struct change_stream *s);

/* Nothing is told until it is released; both may be repeated. */
void change_stream_hold(struct change_stream *s);
/* No callback from within. */
void change_stream_release(struct change_stream *s);
