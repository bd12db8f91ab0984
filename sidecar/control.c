#include "sidecar/control.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/again.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/frame_stream.h"
#include "common/json.h"
#include "common/log.h"
#include "common/options.h"
#include "common/unix_socket.h"
#include "sidecar/redactions.h"

enum control_state {
	CONTROL_CONNECTING,
	CONTROL_OPEN,
	CONTROL_AWAY,
	CONTROL_KNOCKING,
	CONTROL_LOST,
};

struct control {
	enum control_state state;
	struct event_base *base;
	struct frame_stream *stream; /* NULL before connected, while AWAY */
	struct sockaddr_un address;
	struct sockaddr_un again_address;
	bool has_again;
	struct again *again; /* NULL: it is not kept */
	char *execution;
	uint64_t keep_ms;
	char *ready;
	const struct control_ops *ops;
	void *ctx;
	struct event *retry;
	uint64_t give_up_ms;
	struct redactions redactions;
};

static UNUSED bool may_follow(enum control_state from, enum control_state to)
{
	switch (from) {
	case CONTROL_CONNECTING:
		return to == CONTROL_OPEN || to == CONTROL_LOST;
	case CONTROL_OPEN:
		return to == CONTROL_AWAY || to == CONTROL_LOST;
	case CONTROL_AWAY:
		return to == CONTROL_KNOCKING || to == CONTROL_LOST;
	case CONTROL_KNOCKING:
		return to == CONTROL_OPEN || to == CONTROL_AWAY ||
		       to == CONTROL_LOST;
	case CONTROL_LOST:
		return false;
	}
	return false;
}

static void set_state(struct control *c, enum control_state state)
{
	assert(may_follow(c->state, state));
	c->state = state;
}

bool control_is_kept(const struct control *c)
{
	return c->again && c->state != CONTROL_LOST &&
	       redactions_are_kept(&c->redactions);
}

int control_redact(struct control *c, const void *value, size_t len,
		   void (*done)(bool masked, void *ctx), void *ctx)
{
	struct frame_stream *stream = c->state == CONTROL_OPEN ? c->stream
							       : NULL;

	if (c->state == CONTROL_LOST)
		return -EPIPE;
	return redactions_ask(&c->redactions, stream, value, len, done, ctx);
}

/* --- the stream ----------------------------------------------------------- */

static void close_stream(struct control *c)
{
	frame_stream_close(c->stream);
	c->stream = NULL;
}

static void lose(struct control *c, const char *reason)
{
	set_state(c, CONTROL_LOST);
	close_stream(c);
	redactions_fail(&c->redactions);
	c->ops->on_lost(reason, c->ctx);
}

/* The stream has ended, or is of no use. */
static void leave(struct control *c, const char *reason)
{
	uint64_t silent_ms = frame_stream_silent_ms(c->stream);

	if (!control_is_kept(c)) {
		if (c->again)
			log_warn(c->execution, "it was told more secrets than "
					       "it could tell the next one");
		lose(c, reason);
		return;
	}
	log_warn(c->execution, "the orchestrator is away: %s", reason);
	set_state(c, CONTROL_AWAY);
	close_stream(c);
	again_lost(c->again, silent_ms);
}

static void on_revoke(struct control *c, const struct frame *f)
{
	_cleanup_json_ json_t *o = json_parse_object(f->payload, f->len, NULL,
						     0);
	const char *jti = json_get_str(o, "jti", NULL);

	if (jti)
		c->ops->on_revoke(jti, c->ctx);
}

static void take_up(struct control *c)
{
	int e;

	log_info(c->execution, "the orchestrator is back");
	again_taken_up(c->again);
	set_state(c, CONTROL_OPEN);
	e = redactions_say_again(&c->redactions, c->stream);
	if (!e)
		e = control_assigned(c);
	if (e < 0)
		leave(c, strerror(-e));
}

static bool is_for_us(const struct control *c, const struct frame *f)
{
	_cleanup_json_ json_t *o = json_parse_object(f->payload, f->len, NULL,
						     0);

	return !strcmp(json_get_str(o, "execution", ""), c->execution);
}

static void on_knocked(struct control *c, const struct frame *f)
{
	if (f->type == FRAME_DISMISS)
		c->ops->on_dismiss(c->ctx);
	else if (f->type == FRAME_RESUME && is_for_us(c, f))
		take_up(c);
	else
		leave(c, "it did not take this execution up");
}

static void on_frame(struct frame_stream *s, const struct frame *f, void *ctx)
{
	struct control *c = ctx;

	if (c->state == CONTROL_KNOCKING) {
		on_knocked(c, f);
		return;
	}
	switch (f->type) {
	case FRAME_ASSIGN:
		c->ops->on_assign(f->payload, f->len, c->ctx);
		break;
	case FRAME_INPUT:
		c->ops->on_input(f->payload, f->len, c->ctx);
		break;
	case FRAME_ACK:
		redactions_take_ack(&c->redactions, f->payload, f->len);
		break;
	case FRAME_REVOKE:
		on_revoke(c, f);
		break;
	case FRAME_DRAIN:
		c->ops->on_drain(c->ctx);
		break;
	case FRAME_DISMISS:
		c->ops->on_dismiss(c->ctx);
		break;
	default: /* a newer orchestrator may say more */
		break;
	}
}

static void on_close(struct frame_stream *s, const char *reason, void *ctx)
{
	leave(ctx, reason);
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

static int open_first(struct control *c, int fd)
{
	set_state(c, CONTROL_OPEN);
	return open_stream(c, fd);
}

/* Nothing is said to nobody: an orchestrator that comes back asks again. */
static int say(struct control *c, enum frame_type type, const void *payload,
	       size_t len)
{
	int r = -EPIPE;

	if (c->state == CONTROL_OPEN)
		r = frame_stream_send(c->stream, type, payload, len);
	return r == -EPIPE && control_is_kept(c) ? 0 : r;
}

int control_assigned(struct control *c)
{
	static const uint32_t zero;

	return say(c, FRAME_ACK, &zero, sizeof(zero));
}

int control_drained(struct control *c, const void *stats, size_t len)
{
	return say(c, FRAME_DRAINED, stats, len);
}

/* --- being kept ----------------------------------------------------------- */

static void on_connected(int fd, void *ctx)
{
	struct control *c = ctx;

	if (open_stream(c, fd) < 0) {
		close_stream(c);
		again_lost(c->again, 0);
	} else {
		set_state(c, CONTROL_KNOCKING);
	}
}

static void on_over(void *ctx)
{
	struct control *c = ctx;
	char reason[128];

	snprintf(reason, sizeof(reason),
		 "nobody took this execution up again within %" PRIu64 " ms",
		 c->keep_ms);
	lose(c, reason);
}

/* What READY says from now on. */
static int name_execution(struct control *c, const char *execution)
{
	_cleanup_json_ json_t *o = json_parse_object(c->ready, strlen(c->ready),
						     NULL, 0);
	char *ready = NULL;

	if (o &&
	    !json_object_update_new(o, json_pack("{s:s, s:b}", "execution",
						 execution, "resumed", true)))
		ready = json_dumps(o, JSON_COMPACT);
	if (!ready)
		return -ENOMEM;
	free(c->ready);
	c->ready = ready;
	c->execution = strdup(execution);
	return c->execution ? 0 : -ENOMEM;
}

int control_keep(struct control *c, uint64_t keep_ms, const char *execution,
		 const char *backend_token)
{
	static const struct again_ops ops = {
		.on_connected = on_connected,
		.on_over = on_over,
	};
	const struct again_config config = {
		.base = c->base,
		.address = &c->again_address,
		.keep_ms = keep_ms,
		.ops = &ops,
		.ctx = c,
	};
	int r;

	if (!keep_ms || !c->has_again)
		return 0;
	c->keep_ms = keep_ms;
	r = name_execution(c, execution);
	if (!r)
		r = redactions_keep(&c->redactions, backend_token);
	return r ? r : again_new(&c->again, &config);
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
		return open_first(c, fd);
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
			       : open_first(c, fd);
	c->give_up_ms = clock_mono_ms() + CONTROL_CONNECT_MS;
	return try_connect(c);
}

static struct control *create(struct event_base *base, const char *ready,
			      const struct control_ops *ops, void *ctx)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	redactions_init(&c->redactions, base);
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
		const char *address, const struct sockaddr_un *again,
		const char *ready, const struct control_ops *ops, void *ctx)
{
	struct control *c = create(base, ready, ops, ctx);
	int r = -ENOMEM;

	if (c && again) {
		c->has_again = true;
		c->again_address = *again;
	}
	if (c)
		r = start(c, address);
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
	r = open_first(c, fd);
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
	if (c->state != CONTROL_LOST)
		set_state(c, CONTROL_LOST);
	close_stream(c);
	redactions_deinit(&c->redactions);
	again_free(c->again);
	free(c->execution);
	if (c->retry)
		event_free(c->retry);
	free(c->ready);
	free(c);
}
