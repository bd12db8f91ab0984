#include "sidecar/gateway_socket.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/unix_socket.h"

#define ACCEPT_PAUSE_MS 100 /* when there are no descriptors or memory */

struct gateway_socket {
	struct gateway_socket_config config;
	int fd;
	struct sockaddr_un address;
	struct event *readable, *resume;
};

static bool is_trusted(int fd)
{
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	    (peer.uid == geteuid() || !peer.uid))
		return true;
	log_warn("-",
		 "a connection of uid %d is refused: the orchestrator's user "
		 "has to be the gateway's, or root",
		 (int)peer.uid);
	return false;
}

static void pause_accepting(struct gateway_socket *s)
{
	const struct timeval tv = clock_timeval(ACCEPT_PAUSE_MS);

	event_del(s->readable);
	evtimer_add(s->resume, &tv);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct gateway_socket *s = arg;

	event_add(s->readable, NULL);
}

static void on_readable(evutil_socket_t listener, short what, void *arg)
{
	struct gateway_socket *s = arg;
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM)
			pause_accepting(s);
		return;
	}
	if (is_trusted(fd))
		s->config.on_connection(fd, s->config.ctx);
	else
		close(fd);
}

static int start(struct gateway_socket *s)
{
	struct event_base *base = s->config.base;

	s->fd = s->config.packets
			? unix_socket_listen_packets(&s->address, 0600)
			: unix_socket_listen(&s->address, 0600);
	if (s->fd < 0)
		return s->fd;
	s->readable = event_new(base, s->fd, EV_READ | EV_PERSIST, on_readable,
				s);
	s->resume = evtimer_new(base, on_resume, s);
	if (!s->readable || !s->resume || event_add(s->readable, NULL) < 0)
		return -ENOMEM;
	return 0;
}

int gateway_socket_new(struct gateway_socket **out,
		       const struct gateway_socket_config *config, char *err,
		       size_t err_size)
{
	const char *path = config->address + strlen(GATEWAY_SOCKET_PREFIX);
	struct gateway_socket *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->fd = -1;
	s->config = *config;
	r = unix_socket_address(&s->address, path);
	if (!r)
		r = start(s);
	if (r < 0) {
		snprintf(err, err_size, "cannot listen on %s: %s", path,
			 strerror(-r));
		gateway_socket_free(s);
		return r;
	}
	*out = s;
	return 0;
}

void gateway_socket_free(struct gateway_socket *s)
{
	if (!s)
		return;
	if (s->readable)
		event_free(s->readable);
	if (s->resume)
		event_free(s->resume);
	if (s->fd >= 0) {
		unlink(s->address.sun_path);
		close(s->fd);
	}
	free(s);
}
