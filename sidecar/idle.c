#include "sidecar/idle.h"

#include <errno.h>
#include <event2/event.h>

#include "common/clock.h"
#include "common/http/server.h"
#include "sidecar/memory.h"

static void look_again(struct idle *i)
{
	const struct timeval tv = clock_timeval(i->look_ms);

	evtimer_add(i->look, &tv);
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct idle *i = arg;
	struct http_server_stats stats;

	http_server_get_stats(i->server, &stats);
	if (stats.requests_total != i->requests) {
		i->requests = stats.requests_total;
		i->settled = false;
	} else if (!i->settled) {
		memory_release();
		i->settled = true;
	}
	i->look_ms = MIN(i->look_ms * 2, IDLE_LATER_MS);
	look_again(i);
}

int idle_init(struct idle *i, struct event_base *base,
	      const struct http_server *server)
{
	i->server = server;
	i->look = evtimer_new(base, on_look, i);
	return i->look ? 0 : -ENOMEM;
}

void idle_deinit(struct idle *i)
{
	if (i->look)
		event_free(i->look);
	i->look = NULL;
}

void idle_look_soon(struct idle *i)
{
	i->settled = false;
	i->look_ms = IDLE_FIRST_MS;
	look_again(i);
}
