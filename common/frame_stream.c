#include "common/frame_stream.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/clock.h"

#define FRAME_STREAM_READ_BYTES (128 * 1024)
/* Of FRAME_HEARTBEAT_MS: whoever is gone is missed within 30 s. */
#define FRAME_STREAM_SILENT_TICKS 2
#define FRAME_STREAM_REASON_BYTES 160

/*
 *   OPEN ──▶ DEAF ──▶ BROKEN ──▶ CLOSED
 *     └───────┴──────────┴─────────▲
 *
 * DEAF: the peer takes no more bytes, what it sent before is still read.
 * BROKEN: on_close was called. CLOSED: freed when no callback is running.
 */
enum frame_stream_state {
	FRAME_STREAM_OPEN,
	FRAME_STREAM_DEAF,
	FRAME_STREAM_BROKEN,
	FRAME_STREAM_CLOSED,
};

struct frame_stream {
	enum frame_stream_state state;
	int fd;
	int out_fd; /* fd, or the other one of a pair */
	bool in_callback;
	bool paused;
	bool was_full; /* on_drain is due below the low-water mark */
	bool heard;    /* bytes came since the last tick */
	unsigned int silent_ticks;
	struct event *read_event, *write_event, *tick_event;
	struct frame_decoder in;
	struct buf out;
	const struct frame_stream_ops *ops;
	void *ctx;
};

static void frame_stream_close_fds(struct frame_stream *s)
{
	if (s->out_fd != s->fd)
		closep(&s->out_fd);
	closep(&s->fd);
	s->fd = s->out_fd = -1;
}

static void frame_stream_free(struct frame_stream *s)
{
	if (s->read_event)
		event_free(s->read_event);
	if (s->write_event)
		event_free(s->write_event);
	if (s->tick_event)
		event_free(s->tick_event);
	frame_decoder_deinit(&s->in);
	buf_deinit(&s->out);
	frame_stream_close_fds(s);
	free(s);
}

static void frame_stream_break(struct frame_stream *s, const char *reason)
{
	if (s->state >= FRAME_STREAM_BROKEN)
		return;
	s->state = FRAME_STREAM_BROKEN;
	event_del(s->read_event);
	event_del(s->write_event);
	event_del(s->tick_event);
	s->ops->on_close(s, reason, s->ctx);
}

static void frame_stream_break_errno(struct frame_stream *s, const char *what,
				     int error)
{
	char reason[FRAME_STREAM_REASON_BYTES];

	snprintf(reason, sizeof(reason), "%s: %s", what, strerror(error));
	frame_stream_break(s, reason);
}

static bool frame_stream_may_read(const struct frame_stream *s)
{
	return s->state < FRAME_STREAM_BROKEN && !s->paused;
}

static void frame_stream_dispatch(struct frame_stream *s)
{
	struct frame f;
	int r = 0;

	while (frame_stream_may_read(s)) {
		r = frame_decoder_next(&s->in, &f);
		if (r)
			break;
		if (f.type != FRAME_HEARTBEAT)
			s->ops->on_frame(s, &f, s->ctx);
	}
	if (r == FRAME_E_INVALID)
		frame_stream_break(s, "the peer broke the framing");
	else if (r < 0)
		frame_stream_break_errno(s, "cannot read a frame", -r);
}

/* All that was decoded is delivered, so the decoder's buffer is ours. */
static void frame_stream_read(struct frame_stream *s)
{
	struct buf *in = &s->in.in;
	ssize_t n;
	int r;

	r = buf_reserve(in, FRAME_STREAM_READ_BYTES);
	if (r < 0) {
		frame_stream_break_errno(s, "cannot read", -r);
		return;
	}
	n = read(s->fd, in->data + in->len, in->cap - in->len);
	if (n > 0) {
		s->heard = true;
		in->len += (size_t)n;
		frame_stream_dispatch(s);
	} else if (n == 0) {
		frame_stream_break(s, in->len || s->in.partial
					      ? "the peer closed in mid-frame"
					      : "the peer closed the stream");
	} else if (errno != EAGAIN && errno != EINTR) {
		frame_stream_break_errno(s, "cannot read", errno);
	}
}

/* Sends as much as the socket takes. */
static size_t frame_stream_write(struct frame_stream *s, struct iovec *iov,
				 size_t n_iov)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = n_iov };
	ssize_t n;

	do {
		n = s->out_fd == s->fd
			    ? sendmsg(s->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT)
			    : writev(s->out_fd, iov, (int)n_iov);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return (size_t)n;
	if (errno != EAGAIN)
		s->state = FRAME_STREAM_DEAF;
	return 0;
}

static void frame_stream_flush(struct frame_stream *s)
{
	struct iovec iov = { s->out.data, s->out.len };

	if (s->out.len)
		buf_consume(&s->out, frame_stream_write(s, &iov, 1));
	if (s->state == FRAME_STREAM_DEAF)
		buf_deinit(&s->out);
	if (s->out.len)
		event_add(s->write_event, NULL);
	else
		event_del(s->write_event);
}

static void frame_stream_beat(struct frame_stream *s)
{
	s->silent_ticks = s->heard || s->paused ? 0 : s->silent_ticks + 1;
	if (s->silent_ticks >= FRAME_STREAM_SILENT_TICKS) {
		frame_stream_break(s, "the peer fell silent");
		return;
	}
	if (!s->heard && !s->in.in.len)
		buf_deinit(&s->in.in);
	s->heard = false;
	if (s->out.len)
		return;
	buf_deinit(&s->out);
	/* What fails here is seen by the reader as the end of the stream. */
	if (s->state == FRAME_STREAM_OPEN &&
	    frame_stream_send(s, FRAME_HEARTBEAT, NULL, 0) < 0)
		return;
}

/* Every callback of libevent runs inside begin and end. */
static void frame_stream_begin(struct frame_stream *s)
{
	s->in_callback = true;
}

static void frame_stream_end(struct frame_stream *s)
{
	s->in_callback = false;
	if (s->state == FRAME_STREAM_CLOSED)
		frame_stream_free(s);
}

static void frame_stream_on_readable(int fd, short what, void *ctx)
{
	struct frame_stream *s = ctx;

	frame_stream_begin(s);
	frame_stream_dispatch(s); /* what a pause left behind */
	if (frame_stream_may_read(s))
		frame_stream_read(s);
	frame_stream_end(s);
}

static void frame_stream_on_writable(int fd, short what, void *ctx)
{
	struct frame_stream *s = ctx;

	frame_stream_begin(s);
	frame_stream_flush(s);
	if (s->was_full && s->out.len <= FRAME_STREAM_LOW_WATER_BYTES &&
	    s->state == FRAME_STREAM_OPEN) {
		s->was_full = false;
		if (s->ops->on_drain)
			s->ops->on_drain(s, s->ctx);
	}
	frame_stream_end(s);
}

static void frame_stream_on_tick(int fd, short what, void *ctx)
{
	struct frame_stream *s = ctx;

	frame_stream_begin(s);
	frame_stream_beat(s);
	frame_stream_end(s);
}

static int frame_stream_prepare_fd(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	return 0;
}

static int frame_stream_init(struct frame_stream *s, struct event_base *base)
{
	const struct timeval tick = clock_timeval(FRAME_HEARTBEAT_MS);
	int r = frame_stream_prepare_fd(s->fd);

	if (!r)
		r = frame_stream_prepare_fd(s->out_fd);
	if (r < 0)
		return r;
	s->read_event = event_new(base, s->fd, EV_READ | EV_PERSIST,
				  frame_stream_on_readable, s);
	s->write_event = event_new(base, s->out_fd, EV_WRITE | EV_PERSIST,
				   frame_stream_on_writable, s);
	s->tick_event = event_new(base, -1, EV_PERSIST, frame_stream_on_tick,
				  s);
	if (!s->read_event || !s->write_event || !s->tick_event ||
	    event_add(s->read_event, NULL) < 0 ||
	    event_add(s->tick_event, &tick) < 0)
		return -ENOMEM;
	return 0;
}

int frame_stream_new_pair(struct frame_stream **out, struct event_base *base,
			  int in_fd, int out_fd,
			  const struct frame_stream_ops *ops, void *ctx)
{
	struct frame_stream *s = calloc(1, sizeof(*s));
	int r;

	if (!s) {
		close(in_fd);
		if (out_fd != in_fd)
			close(out_fd);
		return -ENOMEM;
	}
	s->fd = in_fd;
	s->out_fd = out_fd;
	s->ops = ops;
	s->ctx = ctx;
	r = frame_stream_init(s, base);
	if (r < 0) {
		frame_stream_free(s);
		return r;
	}
	*out = s;
	return 0;
}

int frame_stream_new(struct frame_stream **out, struct event_base *base, int fd,
		     const struct frame_stream_ops *ops, void *ctx)
{
	return frame_stream_new_pair(out, base, fd, fd, ops, ctx);
}

void frame_stream_close(struct frame_stream *s)
{
	if (!s)
		return;
	s->state = FRAME_STREAM_CLOSED;
	if (!s->in_callback) {
		frame_stream_free(s);
		return;
	}
	event_del(s->read_event);
	event_del(s->write_event);
	event_del(s->tick_event);
	frame_stream_close_fds(s);
}

/* The usual case: nothing is queued and the socket takes it, without a copy. */
static size_t frame_stream_send_now(struct frame_stream *s,
				    const uint8_t *header, const void *payload,
				    size_t len)
{
	union {
		const void *in;
		void *out;
	} bytes = { .in = payload }, head = { .in = header };
	struct iovec iov[] = {
		{ head.out, FRAME_HEADER_BYTES },
		{ bytes.out, len },
	};

	return frame_stream_write(s, iov, ARRAY_SIZE(iov));
}

static int frame_stream_queue_rest(struct frame_stream *s,
				   const uint8_t *header,
				   const uint8_t *payload, size_t len,
				   size_t sent)
{
	int r = buf_reserve(&s->out, FRAME_HEADER_BYTES + len - sent);

	if (!r && sent < FRAME_HEADER_BYTES) {
		r = buf_append(&s->out, header + sent,
			       FRAME_HEADER_BYTES - sent);
		sent = FRAME_HEADER_BYTES;
	}
	sent -= FRAME_HEADER_BYTES;
	if (!r && sent < len)
		r = buf_append(&s->out, payload + sent, len - sent);
	/* Half a frame is out and its rest is lost: no byte may follow. */
	if (r < 0)
		s->state = FRAME_STREAM_DEAF;
	return r;
}

static int frame_stream_send_frame(struct frame_stream *s, enum frame_type type,
				   const void *payload, size_t len)
{
	uint8_t header[FRAME_HEADER_BYTES];
	size_t sent;

	frame_header_write(header, (uint8_t)type, len);
	sent = frame_stream_send_now(s, header, payload, len);
	if (s->state != FRAME_STREAM_OPEN)
		return -EPIPE;
	if (sent == FRAME_HEADER_BYTES + len)
		return 0;
	return frame_stream_queue_rest(s, header, payload, len, sent);
}

int frame_stream_send(struct frame_stream *s, enum frame_type type,
		      const void *payload, size_t len)
{
	int r;

	if (s->state != FRAME_STREAM_OPEN)
		return -EPIPE;
	if (!s->out.len && len <= FRAME_PAYLOAD_MAX_BYTES)
		r = frame_stream_send_frame(s, type, payload, len);
	else
		r = frame_append(&s->out, type, payload, len);
	if (r < 0)
		return r;
	if (s->out.len)
		event_add(s->write_event, NULL);
	if (frame_stream_full(s))
		s->was_full = true;
	return 0;
}

bool frame_stream_full(const struct frame_stream *s)
{
	return s->out.len >= FRAME_STREAM_HIGH_WATER_BYTES;
}

uint64_t frame_stream_silent_ms(const struct frame_stream *s)
{
	return (uint64_t)s->silent_ticks * FRAME_HEARTBEAT_MS;
}

void frame_stream_pause(struct frame_stream *s)
{
	if (s->paused || s->state >= FRAME_STREAM_BROKEN)
		return;
	s->paused = true;
	event_del(s->read_event);
}

void frame_stream_resume(struct frame_stream *s)
{
	if (!s->paused || s->state >= FRAME_STREAM_BROKEN)
		return;
	s->paused = false;
	s->silent_ticks = 0;
	event_add(s->read_event, NULL);
	/* Frames may be waiting in the decoder with no byte on the socket. */
	event_active(s->read_event, EV_READ, 0);
}
