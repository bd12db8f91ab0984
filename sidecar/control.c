#include "sidecar/control.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/frame_stream.h"
#include "common/json.h"
#include "common/options.h"
#include "common/unix_socket.h"

struct redaction {
	TAILQ_ENTRY(redaction) link;
	struct control *control;
	uint32_t id;
	struct event *timeout;
	void (*done)(bool masked, void *ctx);
	void *ctx;
};

struct control {
	struct event_base *base;
	struct frame_stream *stream; /* NULL before connected, after lost */
	struct sockaddr_un address;
	char *ready;
	const struct control_ops *ops;
	void *ctx;
	struct event *retry;
	uint64_t give_up_ms;
	uint32_t last_id;
	size_t n_redactions;
	TAILQ_HEAD(, redaction) redactions;
};

/* --- redactions ----------------------------------------------------------- */

static void redaction_free(struct redaction *r)
{
	TAILQ_REMOVE(&r->control->redactions, r, link);
	r->control->n_redactions--;
	if (r->timeout)
		event_free(r->timeout);
	free(r);
}

static void redaction_end(struct redaction *r, bool masked)
{
	void (*done)(bool, void *) = r->done;
	void *ctx = r->ctx;

	redaction_free(r);
	done(masked, ctx);
}

static void on_redact_timeout(evutil_socket_t fd, short what, void *arg)
{
	redaction_end(arg, false);
}

static void fail_redactions(struct control *c)
{
	while (!TAILQ_EMPTY(&c->redactions))
		redaction_end(TAILQ_FIRST(&c->redactions), false);
}

static uint32_t next_id(struct control *c)
{
	/* 0 is the acknowledgement of the assignment. */
	if (!++c->last_id)
		c->last_id = 1;
	return c->last_id;
}

static int send_redact(struct control *c, uint32_t id, const void *value,
		       size_t len)
{
	_cleanup_(buf_deinit_secret) struct buf message = { 0 };
	uint32_t wire_id = htonl(id);
	int r;

	if ((r = buf_reserve(&message, sizeof(wire_id) + len)) ||
	    (r = buf_append(&message, &wire_id, sizeof(wire_id))) ||
	    (r = buf_append(&message, value, len)))
		return r;
	return frame_stream_send(c->stream, FRAME_REDACT, message.data,
				 message.len);
}

int control_redact(struct control *c, const void *value, size_t len,
		   void (*done)(bool masked, void *ctx), void *ctx)
{
	const struct timeval timeout = clock_timeval(CONTROL_REDACT_MS);
	struct redaction *r;
	int e;

	if (!c->stream)
		return -EPIPE;
	if (c->n_redactions == CONTROL_REDACT_PENDING_MAX)
		return -EBUSY;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->control = c;
	r->id = next_id(c);
	r->done = done;
	r->ctx = ctx;
	TAILQ_INSERT_TAIL(&c->redactions, r, link);
	c->n_redactions++;
	r->timeout = evtimer_new(c->base, on_redact_timeout, r);
	e = r->timeout ? send_redact(c, r->id, value, len) : -ENOMEM;
	if (!e && evtimer_add(r->timeout, &timeout) < 0)
		e = -ENOMEM;
	if (e < 0)
		redaction_free(r);
	return e;
}

static void on_ack(struct control *c, const struct frame *f)
{
	struct redaction *r;
	uint32_t id;

	if (f->len != sizeof(id))
		return;
	memcpy(&id, f->payload, sizeof(id));
	id = ntohl(id);
	TAILQ_FOREACH(r, &c->redactions, link) {
		if (r->id == id) {
			redaction_end(r, true);
			return;
		}
	}
}

/* --- the stream ----------------------------------------------------------- */

static void lose(struct control *c, const char *reason)
{
	frame_stream_close(c->stream);
	c->stream = NULL;
	fail_redactions(c);
	c->ops->on_lost(reason, c->ctx);
}

static void on_revoke(struct control *c, const struct frame *f)
{
	char err[128];
	_cleanup_json_ json_t *o = json_parse_object(f->payload, f->len, err,
						     sizeof(err));
	const char *jti = json_get_str(o, "jti", NULL);

	if (jti)
		c->ops->on_revoke(jti, c->ctx);
}

static void on_frame(struct frame_stream *s, const struct frame *f, void *ctx)
{
	struct control *c = ctx;

	switch (f->type) {
	case FRAME_ASSIGN:
		c->ops->on_assign(f->payload, f->len, c->ctx);
		break;
	case FRAME_INPUT:
		c->ops->on_input(f->payload, f->len, c->ctx);
		break;
	case FRAME_ACK:
		on_ack(c, f);
		break;
	case FRAME_REVOKE:
		on_revoke(c, f);
		break;
	case FRAME_DRAIN:
		c->ops->on_drain(c->ctx);
		break;
	default: /* a newer orchestrator may say more */
		break;
	}
}

static void on_close(struct frame_stream *s, const char *reason, void *ctx)
{
	lose(ctx, reason);
}

/* Takes fd. */
static int open_stream(struct control *c, int fd)
{
	static const struct frame_stream_ops ops = {
		.on_frame = on_frame,
		.on_close = on_close,
	};
	int r = frame_stream_new(&c->stream, c->base, fd, &ops, c);

	if (r < 0)
		return r;
	return frame_stream_send(c->stream, FRAME_READY, c->ready,
				 strlen(c->ready));
}

int control_assigned(struct control *c)
{
	static const uint32_t zero;

	if (!c->stream)
		return -EPIPE;
	return frame_stream_send(c->stream, FRAME_ACK, &zero, sizeof(zero));
}

int control_drained(struct control *c, const void *stats, size_t len)
{
	if (!c->stream)
		return -EPIPE;
	return frame_stream_send(c->stream, FRAME_DRAINED, stats, len);
}

/* --- connecting ----------------------------------------------------------- */

static bool may_come_up(int error)
{
	return error == -ENOENT || error == -ECONNREFUSED || error == -EAGAIN;
}

/* 0 when connected or trying again; negative errno when it is hopeless. */
static int try_connect(struct control *c)
{
	const struct timeval pause = clock_timeval(CONTROL_RETRY_MS);
	int fd = unix_socket_connect(&c->address, SOCK_NONBLOCK);

	if (fd >= 0)
		return open_stream(c, fd);
	if (!may_come_up(fd) || clock_mono_ms() >= c->give_up_ms)
		return fd;
	return evtimer_add(c->retry, &pause) < 0 ? -ENOMEM : 0;
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct control *c = arg;
	char reason[256];
	int r = try_connect(c);

	if (r == 0)
		return;
	snprintf(reason, sizeof(reason), "%s does not answer: %s",
		 c->address.sun_path, strerror(-r));
	lose(c, reason);
}

static int parse_address(struct control *c, const char *address, int *fd)
{
	uint64_t n;

	*fd = -1;
	if (!strncmp(address, "fd:", 3)) {
		if (option_parse_uint(address + 3, &n) < 0 || n > INT32_MAX)
			return -EINVAL;
		*fd = (int)n;
		return 0;
	}
	return unix_socket_address(&c->address, address);
}

static int start(struct control *c, const char *address)
{
	int fd, r = parse_address(c, address, &fd);

	if (r < 0)
		return r;
	if (fd >= 0)
		return evutil_make_socket_nonblocking(fd) < 0
			       ? -EBADF
			       : open_stream(c, fd);
	c->give_up_ms = clock_mono_ms() + CONTROL_CONNECT_MS;
	return try_connect(c);
}

static struct control *create(struct event_base *base, const char *ready,
			      const struct control_ops *ops, void *ctx)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	TAILQ_INIT(&c->redactions);
	c->base = base;
	c->ops = ops;
	c->ctx = ctx;
	c->ready = strdup(ready);
	c->retry = evtimer_new(base, on_retry, c);
	if (c->ready && c->retry)
		return c;
	control_free(c);
	return NULL;
}

int control_new(struct control **out, struct event_base *base,
		const char *address, const char *ready,
		const struct control_ops *ops, void *ctx)
{
	struct control *c = create(base, ready, ops, ctx);
	int r = c ? start(c, address) : -ENOMEM;

	if (r < 0)
		control_free(c);
	else
		*out = c;
	return r;
}

int control_new_fd(struct control **out, struct event_base *base, int fd,
		   const char *ready, const struct control_ops *ops, void *ctx)
{
	struct control *c = create(base, ready, ops, ctx);
	int r;

	if (!c) {
		close(fd);
		return -ENOMEM;
	}
	r = open_stream(c, fd);
	if (r < 0)
		control_free(c);
	else
		*out = c;
	return r;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	frame_stream_close(c->stream);
	c->stream = NULL;
	fail_redactions(c);
	if (c->retry)
		event_free(c->retry);
	free(c->ready);
	free(c);
}
