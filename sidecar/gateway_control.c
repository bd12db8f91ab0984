#include "sidecar/gateway_control.h"

#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/unix_socket.h"

#define ACCEPT_PAUSE_MS 100 /* when there are no descriptors or memory */

struct gateway_control {
	int fd;
	struct sockaddr_un address;
	struct event *readable, *resume;
	void (*on_stream)(int fd, void *ctx);
	void *ctx;
};

static bool is_trusted(int fd)
{
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	    (peer.uid == geteuid() || !peer.uid))
		return true;
	log_warn("-",
		 "a control stream of uid %d is refused: the "
		 "orchestrator's user has to be the gateway's, or root",
		 (int)peer.uid);
	return false;
}

static void pause_accepting(struct gateway_control *c)
{
	const struct timeval tv = clock_timeval(ACCEPT_PAUSE_MS);

	event_del(c->readable);
	evtimer_add(c->resume, &tv);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct gateway_control *c = arg;

	event_add(c->readable, NULL);
}

static void on_readable(evutil_socket_t listener, short what, void *arg)
{
	struct gateway_control *c = arg;
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM)
			pause_accepting(c);
		return;
	}
	if (is_trusted(fd))
		c->on_stream(fd, c->ctx);
	else
		close(fd);
}

static int start(struct gateway_control *c, struct event_base *base)
{
	c->fd = unix_socket_listen(&c->address, 0600);
	if (c->fd < 0)
		return c->fd;
	c->readable = event_new(base, c->fd, EV_READ | EV_PERSIST, on_readable,
				c);
	c->resume = evtimer_new(base, on_resume, c);
	if (!c->readable || !c->resume || event_add(c->readable, NULL) < 0)
		return -ENOMEM;
	return 0;
}

int gateway_control_new(struct gateway_control **out, struct event_base *base,
			const char *address,
			void (*on_stream)(int fd, void *ctx), void *ctx,
			char *err, size_t err_size)
{
	const char *path = address + strlen(GATEWAY_CONTROL_PREFIX);
	struct gateway_control *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->fd = -1;
	c->on_stream = on_stream;
	c->ctx = ctx;
	r = unix_socket_address(&c->address, path);
	if (!r)
		r = start(c, base);
	if (r < 0) {
		snprintf(err, err_size, "cannot listen on %s: %s", path,
			 strerror(-r));
		gateway_control_free(c);
		return r;
	}
	*out = c;
	return 0;
}

void gateway_control_free(struct gateway_control *c)
{
	if (!c)
		return;
	if (c->readable)
		event_free(c->readable);
	if (c->resume)
		event_free(c->resume);
	if (c->fd >= 0) {
		unlink(c->address.sun_path);
		close(c->fd);
	}
	free(c);
}
