#include "runner/relay_way.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "runner/relay.h"

static bool relay_way_again(void)
{
	return errno == EAGAIN || errno == EINTR;
}

/* Either it reads, or it waits to write: what is held is bounded by that. */
static void relay_way_wait(struct relay_way *w)
{
	if (w->sent < w->len) {
		event_del(w->readable);
		event_add(w->writable, NULL);
	} else {
		event_del(w->writable);
		event_add(w->readable, NULL);
	}
}

static void relay_way_finish(struct relay_way *w, bool failed)
{
	event_del(w->readable);
	event_del(w->writable);
	w->failed = failed;
	w->ended = true;
	/* One that is gone says so through the other way. */
	if (!failed)
		(void)shutdown(w->to, SHUT_WR);
	w->on_ended(w->ctx);
}

static void relay_way_write(struct relay_way *w)
{
	while (w->sent < w->len) {
		ssize_t n = send(w->to, w->bytes + w->sent, w->len - w->sent,
				 MSG_NOSIGNAL);

		if (n < 0 && relay_way_again())
			break;
		if (n < 0) {
			relay_way_finish(w, true);
			return;
		}
		w->sent += (size_t)n;
	}
	relay_way_wait(w);
}

static void relay_way_on_readable(int fd, short what, void *ctx)
{
	struct relay_way *w = ctx;
	ssize_t n = recv(w->from, w->bytes, RELAY_BUFFER_BYTES, 0);

	if (n < 0 && relay_way_again())
		return;
	if (n <= 0) {
		relay_way_finish(w, n < 0);
		return;
	}
	w->len = (size_t)n;
	w->sent = 0;
	relay_way_write(w);
}

static void relay_way_on_writable(int fd, short what, void *ctx)
{
	relay_way_write(ctx);
}

int relay_way_init(struct relay_way *w, struct event_base *base, int from,
		   int to, void (*on_ended)(void *ctx), void *ctx)
{
	w->from = from;
	w->to = to;
	w->on_ended = on_ended;
	w->ctx = ctx;
	w->bytes = malloc(RELAY_BUFFER_BYTES);
	w->readable = event_new(base, from, EV_READ | EV_PERSIST,
				relay_way_on_readable, w);
	w->writable = event_new(base, to, EV_WRITE | EV_PERSIST,
				relay_way_on_writable, w);
	if (!w->bytes || !w->readable || !w->writable ||
	    event_add(w->readable, NULL) < 0)
		return -ENOMEM;
	return 0;
}

void relay_way_deinit(struct relay_way *w)
{
	if (w->readable)
		event_free(w->readable);
	if (w->writable)
		event_free(w->writable);
	free(w->bytes);
	*w = (struct relay_way){ 0 };
}
