#include "backend-client/dial.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "backend-client/endpoint.h"
#include "backend-client/resolve.h"

struct dial {
	struct event_base *base;
	const struct endpoint *to;
	dial_done_fn done;
	void *ctx;
	struct resolve *resolve;
	struct addrinfo *list, *next; /* addresses; the next one to try */
	struct event
		ev; /* writable: connected or failed; or a result to tell */
	bool watching;
	int fd;
	int error; /* of the last address, negative errno */
};

static void dial_finish(struct dial *d, int error)
{
	int fd = d->fd;
	char why[256];

	if (!error) {
		d->fd = -1;
		d->done(d->ctx, fd, NULL);
		return;
	}
	snprintf(why, sizeof(why), "cannot connect to %s%s: %s",
		 d->to->kind == ENDPOINT_UNIX ? "unix:" : "",
		 d->to->kind == ENDPOINT_UNIX ? d->to->host : d->to->authority,
		 strerror(-error));
	d->done(d->ctx, error, why);
}

static void dial_watch(struct dial *d, event_callback_fn fn, bool now)
{
	if (d->watching)
		event_del(&d->ev);
	event_assign(&d->ev, d->base, d->fd, d->fd >= 0 ? EV_WRITE : 0, fn, d);
	d->watching = true;
	if (now)
		event_active(&d->ev, EV_TIMEOUT, 0);
	else
		event_add(&d->ev, NULL);
}

static void dial_on_result(evutil_socket_t fd, short what, void *arg)
{
	struct dial *d = arg;

	dial_finish(d, d->error);
}

static void dial_close(struct dial *d)
{
	if (d->watching)
		event_del(&d->ev);
	d->watching = false;
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

static int dial_socket(struct dial *d, int family)
{
	int on = 1;

	d->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (d->fd < 0)
		return -errno;
	if (family != AF_UNIX)
		setsockopt(d->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return 0;
}

static void dial_on_writable(evutil_socket_t fd, short what, void *arg);

/* Tries addresses until one is under way, or the list is at its end. */
static void dial_try_next(struct dial *d)
{
	while (d->next) {
		struct addrinfo *a = d->next;

		d->next = a->ai_next;
		dial_close(d);
		d->error = dial_socket(d, a->ai_family);
		if (d->error)
			continue;
		if (!connect(d->fd, a->ai_addr, a->ai_addrlen) ||
		    errno == EINPROGRESS) {
			dial_watch(d, dial_on_writable, false);
			return;
		}
		d->error = -errno;
	}
	dial_close(d);
	dial_watch(d, dial_on_result, true);
}

static void dial_on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct dial *d = arg;
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	d->error = -error;
	if (error)
		dial_try_next(d);
	else
		dial_finish(d, 0);
}

static void dial_on_resolved(void *ctx, int error, struct addrinfo *list)
{
	struct dial *d = ctx;
	char why[384];

	d->list = d->next = list;
	if (!error) {
		dial_try_next(d);
		return;
	}
	snprintf(why, sizeof(why), "cannot find the host %s: %s", d->to->host,
		 gai_strerror(error));
	d->done(d->ctx, -EHOSTUNREACH, why);
}

static void dial_unix(struct dial *d)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	memcpy(addr.sun_path, d->to->host, strlen(d->to->host) + 1);
	d->error = dial_socket(d, AF_UNIX);
	if (!d->error &&
	    connect(d->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		d->error = -errno;
	if (d->error)
		dial_close(d);
	dial_watch(d, dial_on_result, true);
}

int dial_start(struct dial **out, struct event_base *base,
	       const struct endpoint *to, dial_done_fn done, void *ctx)
{
	struct dial *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	*d = (struct dial){
		.base = base,
		.to = to,
		.done = done,
		.ctx = ctx,
		.fd = -1,
		.error = -EADDRNOTAVAIL,
	};
	if (to->kind == ENDPOINT_UNIX) {
		dial_unix(d);
	} else {
		r = resolve_start(&d->resolve, base, to->host, to->port,
				  dial_on_resolved, d);
		if (r < 0) {
			free(d);
			return r;
		}
	}
	*out = d;
	return 0;
}

void dial_free(struct dial *d)
{
	if (!d)
		return;
	dial_close(d);
	resolve_free(d->resolve);
	if (d->list)
		freeaddrinfo(d->list);
	free(d);
}
