#include "orchestrator/ssh_transport.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "backend-client/resolve.h"
#include "common/clock.h"

struct ssh_transport {
	struct event_base *base;
	const struct ssh_transport_ops *ops;
	void *ctx;
	struct resolve *resolve;
	struct addrinfo *list, *next; /* addresses that were not tried yet */
	struct event *hurry;          /* on to the next address */
	struct bufferevent *bev;      /* the connection, or the attempt */
	bool connected, ended;
	char why[SSH_TRANSPORT_REASON_BYTES];
};

static void ssh_transport_try_next(struct ssh_transport *t);

static void ssh_transport_drop(struct ssh_transport *t)
{
	if (t->bev)
		bufferevent_free(t->bev);
	t->bev = NULL;
}

static void ssh_transport_end(struct ssh_transport *t, const char *reason)
{
	if (t->ended)
		return;
	t->ended = true;
	if (!t->connected)
		ssh_transport_drop(t);
	t->ops->on_closed(t->ctx, reason);
}

/* --- connected ------------------------------------------------------------ */

static void ssh_transport_set_options(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, SSH_TRANSPORT_IDLE_S },
		{ IPPROTO_TCP, TCP_KEEPINTVL, SSH_TRANSPORT_INTERVAL_S },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, SSH_TRANSPORT_DEAD_MS },
	};

	/* Where one fails the heartbeats above still tell. */
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		(void)setsockopt(fd, options[i].level, options[i].name,
				 &options[i].value, sizeof(int));
}

static void ssh_transport_on_io(struct bufferevent *bev, void *ctx)
{
	struct ssh_transport *t = ctx;

	t->ops->on_activity(t->ctx);
}

static void ssh_transport_on_connected(struct ssh_transport *t)
{
	evtimer_del(t->hurry);
	t->connected = true;
	ssh_transport_set_options(bufferevent_getfd(t->bev));
	bufferevent_setwatermark(t->bev, EV_READ, 0, SSH_TRANSPORT_INPUT_BYTES);
	bufferevent_setwatermark(t->bev, EV_WRITE,
				 SSH_TRANSPORT_BACKLOG_BYTES / 2, 0);
	bufferevent_enable(t->bev, EV_READ | EV_WRITE);
	t->ops->on_connected(t->ctx);
}

static void ssh_transport_on_event(struct bufferevent *bev, short what,
				   void *ctx)
{
	int error = EVUTIL_SOCKET_ERROR();
	struct ssh_transport *t = ctx;

	if (what & BEV_EVENT_CONNECTED) {
		ssh_transport_on_connected(t);
	} else if (t->connected) {
		bufferevent_disable(bev, EV_READ | EV_WRITE);
		snprintf(t->why, sizeof(t->why), "%s",
			 what & BEV_EVENT_EOF ? "the host closed it"
					      : strerror(error));
		ssh_transport_end(t, t->why);
	} else {
		snprintf(t->why, sizeof(t->why), "%s", strerror(error));
		ssh_transport_try_next(t);
	}
}

/* --- connecting ----------------------------------------------------------- */

static int ssh_transport_try(struct ssh_transport *t,
			     const struct addrinfo *address)
{
	const struct timeval tv = clock_timeval(SSH_TRANSPORT_NEXT_MS);

	t->bev = bufferevent_socket_new(
		t->base, -1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (!t->bev)
		return -ENOMEM;
	bufferevent_setcb(t->bev, ssh_transport_on_io, ssh_transport_on_io,
			  ssh_transport_on_event, t);
	if (address->ai_next)
		evtimer_add(t->hurry, &tv);
	else
		evtimer_del(t->hurry);
	return bufferevent_socket_connect(t->bev, address->ai_addr,
					  (int)address->ai_addrlen) < 0
		       ? -EIO
		       : 0;
}

static void ssh_transport_try_next(struct ssh_transport *t)
{
	while (t->next) {
		const struct addrinfo *address = t->next;

		t->next = address->ai_next;
		ssh_transport_drop(t);
		if (!ssh_transport_try(t, address))
			return;
		snprintf(t->why, sizeof(t->why), "%s", strerror(errno));
	}
	ssh_transport_end(t, t->why);
}

static void ssh_transport_on_hurry(int fd, short what, void *ctx)
{
	ssh_transport_try_next(ctx);
}

static void ssh_transport_on_resolved(void *ctx, int error,
				      struct addrinfo *list)
{
	struct ssh_transport *t = ctx;

	t->list = t->next = list;
	snprintf(t->why, sizeof(t->why), "%s",
		 error ? gai_strerror(error) : "it has no address");
	ssh_transport_try_next(t);
}

int ssh_transport_new(struct ssh_transport **out, struct event_base *base,
		      const char *host, uint16_t port,
		      const struct ssh_transport_ops *ops, void *ctx)
{
	struct ssh_transport *t = calloc(1, sizeof(*t));
	int r = -ENOMEM;

	*out = NULL;
	if (!t)
		return -ENOMEM;
	t->base = base;
	t->ops = ops;
	t->ctx = ctx;
	t->hurry = evtimer_new(base, ssh_transport_on_hurry, t);
	if (t->hurry)
		r = resolve_start(&t->resolve, base, host, port,
				  ssh_transport_on_resolved, t);
	if (r < 0) {
		ssh_transport_free(t);
		return r;
	}
	*out = t;
	return 0;
}

void ssh_transport_free(struct ssh_transport *t)
{
	if (!t)
		return;
	if (t->connected && !t->ended) {
		struct evbuffer *output = bufferevent_get_output(t->bev);

		/* The farewell, if there is room for it. */
		bufferevent_disable(t->bev, EV_READ | EV_WRITE);
		evbuffer_unfreeze(output, 1);
		(void)evbuffer_write(output, bufferevent_getfd(t->bev));
	}
	ssh_transport_drop(t);
	resolve_free(t->resolve);
	if (t->list)
		freeaddrinfo(t->list);
	if (t->hurry)
		event_free(t->hurry);
	free(t);
}

/* --- bytes ---------------------------------------------------------------- */

int ssh_transport_fd(const struct ssh_transport *t)
{
	return t->bev ? bufferevent_getfd(t->bev) : -1;
}

ssize_t ssh_transport_send(struct ssh_transport *t, const void *data,
			   size_t len)
{
	if (t->ended || !t->connected)
		return -EPIPE;
	return bufferevent_write(t->bev, data, len) < 0 ? -ENOMEM
							: (ssize_t)len;
}

ssize_t ssh_transport_recv(struct ssh_transport *t, void *data, size_t len)
{
	size_t n = t->bev ? bufferevent_read(t->bev, data, len) : 0;

	if (n)
		return (ssize_t)n;
	return t->ended || !t->connected ? -ECONNRESET : -EAGAIN;
}

size_t ssh_transport_backlog(const struct ssh_transport *t)
{
	return t->connected
		       ? evbuffer_get_length(bufferevent_get_output(t->bev))
		       : 0;
}

size_t ssh_transport_waiting(const struct ssh_transport *t)
{
	return t->connected ? evbuffer_get_length(bufferevent_get_input(t->bev))
			    : 0;
}
