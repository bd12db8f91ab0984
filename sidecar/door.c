#include "sidecar/door.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "common/again.h"
#include "common/clock.h"
#include "common/door_message.h"
#include "common/json.h"
#include "common/options.h"
#include "common/unix_socket.h"

#define DOOR_MESSAGES_PER_TURN 16
#define DOOR_SWEEP_MS 1000

struct door_call {
	TAILQ_ENTRY(door_call) link; /* in the order of their deadlines */
	struct door *door;
	json_int_t id;
	char *host;
	uint16_t port;
	uint64_t deadline_ms;
	door_result_fn done; /* NULL: cancelled, its answer is dropped */
	void *ctx;
};

enum door_state { DOOR_OPEN, DOOR_AWAY, DOOR_SHUT };

struct door {
	enum door_state state;
	struct event_base *base;
	const struct door_ops *ops;
	void *ctx;
	int fd;              /* -1 while AWAY */
	struct again *again; /* NULL: it is not kept */
	struct event *readable, *sweep;
	TAILQ_HEAD(, door_call) calls;
	unsigned int n_calls;
	json_int_t last_id;
};

/* --- calls ---------------------------------------------------------------- */

static void door_call_free(struct door_call *call)
{
	free(call->host);
	free(call);
}

/* done may make new calls, and cancel others. */
static void door_call_end(struct door_call *call,
			  const struct door_result *result)
{
	door_result_fn done = call->done;
	void *ctx = call->ctx;

	TAILQ_REMOVE(&call->door->calls, call, link);
	call->door->n_calls--;
	door_call_free(call);
	if (done)
		done(ctx, result);
	else if (result->fd >= 0)
		close(result->fd);
}

static void door_set_sweep(struct door *d)
{
	const struct timeval tv = clock_timeval(DOOR_SWEEP_MS);

	if (!TAILQ_EMPTY(&d->calls) && !evtimer_pending(d->sweep, NULL))
		event_add(d->sweep, &tv);
}

static void door_on_sweep(int fd, short what, void *ctx)
{
	static const struct door_result late = {
		.fd = -1,
		.refused = "timeout",
		.detail = "the orchestrator did not answer in time",
	};
	static const struct door_result away = {
		.fd = -1,
		.refused = "unreachable",
		.detail = "the orchestrator, which connects, is away; try "
			  "again in a moment",
	};
	struct door *d = ctx;
	struct door_call *call;
	uint64_t now = clock_mono_ms();

	while ((call = TAILQ_FIRST(&d->calls)) && call->deadline_ms <= now)
		door_call_end(call, d->state == DOOR_AWAY ? &away : &late);
	door_set_sweep(d);
}

static void door_shut(struct door *d, const char *why)
{
	const struct door_result shut = {
		.fd = -1,
		.refused = "unreachable",
		.detail = "the door to the orchestrator is shut",
	};
	struct door_call *call;

	d->state = DOOR_SHUT;
	event_del(d->sweep);
	while ((call = TAILQ_FIRST(&d->calls)))
		door_call_end(call, &shut);
	d->ops->on_lost(d->ctx, why);
}

/* All at once, so that they stay in the order of their deadlines. */
static void door_set_deadlines(struct door *d, uint64_t ms)
{
	struct door_call *call;

	TAILQ_FOREACH(call, &d->calls, link)
		call->deadline_ms = clock_mono_ms() + ms;
}

static void door_lose(struct door *d, const char *why)
{
	if (d->readable)
		event_free(d->readable);
	d->readable = NULL;
	close(d->fd);
	d->fd = -1;
	if (!d->again) {
		door_shut(d, why);
		return;
	}
	d->state = DOOR_AWAY;
	door_set_deadlines(d, DOOR_AWAY_MS);
	again_lost(d->again, 0);
}

/* Nothing is sent while nobody is there, nor on a door that has just been lost,
 * which its reader will tell us. */
static int door_call_send(const struct door *d, const struct door_call *call)
{
	int r;

	if (d->state == DOOR_AWAY)
		return 0;
	r = door_message_send(d->fd,
			      json_pack("{s:I,s:{s:s,s:i}}", "id", call->id,
					"connect", "host", call->host, "port",
					call->port),
			      -1);
	if (r == -EAGAIN)
		return -EBUSY;
	return r == -ENOMEM || !d->again ? r : 0;
}

int door_connect(struct door *d, const char *host, uint16_t port,
		 door_result_fn done, void *ctx, struct door_call **out)
{
	struct door_call *call;
	int r = -ENOMEM;

	if (d->state == DOOR_SHUT)
		return -EPIPE;
	if (d->n_calls >= DOOR_CALLS_MAX)
		return -EBUSY;
	call = calloc(1, sizeof(*call));
	if (!call)
		return -ENOMEM;
	call->door = d;
	call->id = d->last_id + 1;
	call->host = strdup(host);
	call->port = port;
	if (call->host)
		r = door_call_send(d, call);
	if (r < 0) {
		door_call_free(call);
		return r;
	}
	d->last_id = call->id;
	call->deadline_ms = clock_mono_ms() + (d->state == DOOR_AWAY
						       ? DOOR_AWAY_MS
						       : DOOR_CALL_MS);
	call->done = done;
	call->ctx = ctx;
	TAILQ_INSERT_TAIL(&d->calls, call, link);
	d->n_calls++;
	door_set_sweep(d);
	*out = call;
	return 0;
}

void door_call_cancel(struct door_call *call)
{
	if (call)
		call->done = NULL;
}

/* --- messages ------------------------------------------------------------- */

static void door_take_answer(struct door *d, const json_t *message,
			     int attached)
{
	const struct door_result result = {
		.fd = attached,
		.refused = json_get_str(message, "refused", "unreachable"),
		.detail = json_get_str(message, "detail", ""),
	};
	json_int_t id = json_get_int(message, "id", -1);
	struct door_call *call;

	TAILQ_FOREACH(call, &d->calls, link)
		if (call->id == id)
			break;
	if (call)
		door_call_end(call, &result);
	else
		closep(&attached); /* it came too late */
}

/* A socket that blocks would hold the whole loop up. */
static bool door_socket_good(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

static void door_take(struct door *d, const json_t *message, int attached)
{
	const char *serve = json_get_str(message, "serve", "");
	const char *execution = json_get_str(message, "execution", NULL);
	bool socket;

	if (attached >= 0 && !door_socket_good(attached)) {
		close(attached);
		attached = -1;
	}
	socket = attached >= 0;
	if (json_object_get(message, "id"))
		door_take_answer(d, message, attached);
	else if (socket && !strcmp(serve, "api"))
		d->ops->on_api(d->ctx, attached);
	else if (socket && !strcmp(serve, "proxy"))
		d->ops->on_proxy(d->ctx, attached);
	else
		closep(&attached);
	if (execution && d->ops->on_execution)
		d->ops->on_execution(d->ctx, execution);
}

static void door_on_readable(int fd, short what, void *ctx)
{
	struct door *d = ctx;

	for (int i = 0; i < DOOR_MESSAGES_PER_TURN && d->fd >= 0; i++) {
		json_t *message;
		int attached;
		int r = door_message_receive(d->fd, &message, &attached);

		if (r == -EAGAIN || r == -EINTR)
			return;
		if (r < 0) {
			door_lose(d, r == -EPROTO
					     ? "a malformed message"
					     : "the orchestrator closed it");
			return;
		}
		door_take(d, message, attached);
		json_decref(message);
	}
}

/* --- being kept ----------------------------------------------------------- */

static int door_watch(struct door *d, int fd)
{
	d->fd = fd;
	d->readable = event_new(d->base, fd, EV_READ | EV_PERSIST,
				door_on_readable, d);
	return d->readable && !event_add(d->readable, NULL) ? 0 : -ENOMEM;
}

static void door_on_connected(int fd, void *ctx)
{
	struct door *d = ctx;
	const struct door_call *call;

	again_taken_up(d->again);
	d->state = DOOR_OPEN;
	if (door_watch(d, fd) < 0) {
		door_lose(d, "out of memory");
		return;
	}
	door_set_deadlines(d, DOOR_CALL_MS);
	/* One that cannot be sent has its deadline. */
	TAILQ_FOREACH(call, &d->calls, link)
		if (call->done && door_call_send(d, call) < 0)
			return;
}

int door_keep(struct door *d, const struct sockaddr_un *again)
{
	static const struct again_ops ops = {
		.on_connected = door_on_connected,
	};
	const struct again_config config = {
		.base = d->base,
		.address = again,
		.packets = true,
		.ops = &ops,
		.ctx = d,
	};

	return d->state == DOOR_SHUT || d->again
		       ? 0
		       : again_new(&d->again, &config);
}

/* --- life ----------------------------------------------------------------- */

int door_new_fd(struct door **out, struct event_base *base, int fd,
		const struct door_ops *ops, void *ctx)
{
	struct door *d = calloc(1, sizeof(*d));

	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	d->base = base;
	d->ops = ops;
	d->ctx = ctx;
	TAILQ_INIT(&d->calls);
	d->sweep = evtimer_new(base, door_on_sweep, d);
	if (door_watch(d, fd) < 0 || !d->sweep) {
		door_free(d);
		return -ENOMEM;
	}
	*out = d;
	return 0;
}

static int door_open(const char *address)
{
	struct sockaddr_un addr;
	uint64_t n;
	int r;

	if (!strncmp(address, "fd:", 3)) {
		if (option_parse_uint(address + 3, &n) < 0 || n > INT32_MAX ||
		    fcntl((int)n, F_SETFD, FD_CLOEXEC) < 0)
			return -EBADF;
		return (int)n;
	}
	r = unix_socket_address(&addr, address);
	return r < 0 ? r : unix_socket_connect_packets(&addr, 0);
}

int door_new(struct door **out, struct event_base *base, const char *address,
	     const struct door_ops *ops, void *ctx)
{
	int fd = door_open(address);

	return fd < 0 ? fd : door_new_fd(out, base, fd, ops, ctx);
}

void door_free(struct door *d)
{
	struct door_call *call;

	if (!d)
		return;
	while ((call = TAILQ_FIRST(&d->calls))) {
		TAILQ_REMOVE(&d->calls, call, link);
		door_call_free(call);
	}
	again_free(d->again);
	if (d->sweep)
		event_free(d->sweep);
	if (d->readable)
		event_free(d->readable);
	closep(&d->fd);
	free(d);
}
