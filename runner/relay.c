#include "runner/relay.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

#include "common/clock.h"
#include "common/log.h"
#include "runner/relay_way.h"

#define RELAY_ACCEPT_AGAIN_MS 100 /* when descriptors ran out */

struct relay_connection {
	struct relay *relay;
	struct relay_connection *prev, *next;
	int fds[2]; /* the script's, the other one */
	size_t address;
	struct event *connecting;
	struct relay_way ways[2]; /* from fds[i] to the other */
};

struct relay {
	struct event_base *base;
	int listener;
	const struct door *door;
	struct event *acceptable, *again;
	struct relay_connection *connections;
	size_t n;
};

static void relay_connection_free(struct relay_connection *c)
{
	struct relay *r = c->relay;

	if (c->connecting)
		event_free(c->connecting);
	relay_way_deinit(&c->ways[0]);
	relay_way_deinit(&c->ways[1]);
	closep(&c->fds[0]);
	closep(&c->fds[1]);
	if (c->prev) {
		DL_DELETE(r->connections, c);
		r->n--;
		event_add(r->acceptable, NULL);
	}
	free(c);
}

/* The connection is freed here, where no way of it is at work any more. */
static void relay_on_ended(void *ctx)
{
	struct relay_connection *c = ctx;
	bool failed = c->ways[0].failed || c->ways[1].failed;

	if (failed || (c->ways[0].ended && c->ways[1].ended))
		relay_connection_free(c);
}

static void relay_open(struct relay_connection *c)
{
	struct event_base *base = c->relay->base;

	event_free(c->connecting);
	c->connecting = NULL;
	if (relay_way_init(&c->ways[0], base, c->fds[0], c->fds[1],
			   relay_on_ended, c) < 0 ||
	    relay_way_init(&c->ways[1], base, c->fds[1], c->fds[0],
			   relay_on_ended, c) < 0)
		relay_connection_free(c);
}

static void relay_on_connected(int fd, short what, void *ctx);

/* The next address; false when there is none left. */
static bool relay_connect(struct relay_connection *c)
{
	const struct door *d = c->relay->door;

	for (; c->address < d->n_to; c->address++) {
		const union door_address *to = &d->to[c->address];

		c->fds[1] = socket(to->any.sa_family,
				   SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				   0);
		if (c->fds[1] >= 0 &&
		    (!connect(c->fds[1], &to->any, door_address_len(to)) ||
		     errno == EINPROGRESS))
			break;
		closep(&c->fds[1]);
		c->fds[1] = -1;
	}
	if (c->address == d->n_to)
		return false;
	c->connecting = event_new(c->relay->base, c->fds[1], EV_WRITE,
				  relay_on_connected, c);
	return c->connecting && !event_add(c->connecting, NULL);
}

static void relay_on_connected(int fd, short what, void *ctx)
{
	struct relay_connection *c = ctx;
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (!error) {
		relay_open(c);
		return;
	}
	event_free(c->connecting);
	c->connecting = NULL;
	closep(&c->fds[1]);
	c->fds[1] = -1;
	c->address++;
	if (relay_connect(c))
		return;
	log_warn("-", "cannot connect to %s:%u for the script: %s",
		 c->relay->door->to_host, c->relay->door->to_port,
		 strerror(error));
	relay_connection_free(c);
}

static void relay_start(struct relay *r, int fd)
{
	struct relay_connection *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return;
	}
	c->relay = r;
	c->fds[0] = fd;
	c->fds[1] = -1;
	DL_APPEND(r->connections, c);
	r->n++;
	if (!relay_connect(c))
		relay_connection_free(c);
}

static void relay_on_acceptable(int listener, short what, void *ctx)
{
	const struct timeval again = clock_timeval(RELAY_ACCEPT_AGAIN_MS);
	struct relay *r = ctx;
	int fd;

	if (r->n >= RELAY_CONNECTIONS_MAX) {
		event_del(r->acceptable);
		return;
	}
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0) {
		relay_start(r, fd);
		return;
	}
	if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS &&
	    errno != ENOMEM)
		return;
	event_del(r->acceptable);
	event_add(r->again, &again);
}

static void relay_on_again(int fd, short what, void *ctx)
{
	struct relay *r = ctx;

	event_add(r->acceptable, NULL);
}

int relay_new(struct relay **out, struct event_base *base, int listener,
	      const struct door *door)
{
	_cleanup_(relay_freep) struct relay *r = calloc(1, sizeof(*r));

	if (!r) {
		close(listener);
		return -ENOMEM;
	}
	r->base = base;
	r->listener = listener;
	r->door = door;
	r->acceptable = event_new(base, listener, EV_READ | EV_PERSIST,
				  relay_on_acceptable, r);
	r->again = evtimer_new(base, relay_on_again, r);
	if (!r->acceptable || !r->again || event_add(r->acceptable, NULL) < 0)
		return -ENOMEM;
	*out = r;
	r = NULL;
	return 0;
}

void relay_free(struct relay *r)
{
	struct relay_connection *c, *next;

	if (!r)
		return;
	DL_FOREACH_SAFE(r->connections, c, next)
	relay_connection_free(c);
	if (r->acceptable)
		event_free(r->acceptable);
	if (r->again)
		event_free(r->again);
	closep(&r->listener);
	free(r);
}
