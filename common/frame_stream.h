/*
 * A control stream: frames over one connected stream socket (or two pipes) in
 * a libevent loop. Owns the descriptor. Sends and answers heartbeats by itself.
 *
 * Callbacks run from the loop, never from inside a call made here. A stream
 * may be closed from its own callback: it is freed when that has returned.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/frame.h"

struct event_base;
struct frame_stream;

struct frame_stream_ops {
	/* One whole message; payload is valid during the call only. */
	void (*on_frame)(struct frame_stream *s, const struct frame *f,
			 void *ctx);
	/* The peer closed, broke the protocol or fell silent, and everything
	 * that it sent before was delivered; called once, not after
	 * frame_stream_close(), which is still due. reason is for a log. */
	void (*on_close)(struct frame_stream *s, const char *reason, void *ctx);
	/* What was queued fell below the low-water mark; may be NULL. */
	void (*on_drain)(struct frame_stream *s, void *ctx);
};

#define FRAME_STREAM_HIGH_WATER_BYTES (1024 * 1024)
#define FRAME_STREAM_LOW_WATER_BYTES (256 * 1024)

/* Takes fd, also on error. 0 or negative errno. */
int frame_stream_new(struct frame_stream **out, struct event_base *base, int fd,
		     const struct frame_stream_ops *ops, void *ctx) MUST_CHECK;
/* The same over two descriptors, stdin and stdout, say: pipes or sockets. The
 * process must ignore SIGPIPE. Takes both, also on error. */
int frame_stream_new_pair(struct frame_stream **out, struct event_base *base,
			  int in_fd, int out_fd,
			  const struct frame_stream_ops *ops,
			  void *ctx) MUST_CHECK;
/* Stops at once, dropping what was not sent; NULL is fine. */
void frame_stream_close(struct frame_stream *s);

/*
 * Queues one message. 0, -ENOMEM, or -EPIPE after the stream broke. Over the
 * high-water mark frame_stream_full() is true: the caller stops producing
 * until on_drain.
 */
int frame_stream_send(struct frame_stream *s, enum frame_type type,
		      const void *payload, size_t len) MUST_CHECK;
bool frame_stream_full(const struct frame_stream *s);
/* How long nothing came, to a heartbeat: 0 where the peer closed, say. */
uint64_t frame_stream_silent_ms(const struct frame_stream *s);

/* Back-pressure: while paused nothing is read from the peer, and silence is
 * not held against it. */
void frame_stream_pause(struct frame_stream *s);
void frame_stream_resume(struct frame_stream *s);
