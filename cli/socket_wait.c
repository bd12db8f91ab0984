#include "cli/socket_wait.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/unix_socket.h"

struct socket_wait {
	struct sockaddr_un address;
	uint64_t deadline_ms;
	struct event *turn;
	void (*on_done)(bool listens, void *ctx);
	void *ctx;
};

static void socket_wait_again(struct socket_wait *w, uint64_t ms)
{
	const struct timeval tv = clock_timeval(ms);

	evtimer_add(w->turn, &tv);
}

static void socket_wait_on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct socket_wait *w = arg;
	int found = unix_socket_connect_packets(&w->address, SOCK_NONBLOCK);
	bool listens = found >= 0 || found == -EAGAIN;

	closep(&found);
	if (listens || clock_mono_ms() >= w->deadline_ms)
		w->on_done(listens, w->ctx);
	else
		socket_wait_again(w, SOCKET_WAIT_INTERVAL_MS);
}

int socket_wait_new(struct socket_wait **out, struct event_base *base,
		    const char *path, uint32_t timeout_ms,
		    void (*on_done)(bool listens, void *ctx), void *ctx)
{
	struct socket_wait *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->deadline_ms = clock_mono_ms() + timeout_ms;
	w->on_done = on_done;
	w->ctx = ctx;
	w->turn = evtimer_new(base, socket_wait_on_turn, w);
	r = w->turn ? unix_socket_address(&w->address, path) : -ENOMEM;
	if (r < 0) {
		socket_wait_free(w);
		return r;
	}
	socket_wait_again(w, 0);
	*out = w;
	return 0;
}

void socket_wait_free(struct socket_wait *w)
{
	if (!w)
		return;
	if (w->turn)
		event_free(w->turn);
	free(w);
}
