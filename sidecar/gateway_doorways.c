#include "sidecar/gateway_doorways.h"

#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/log.h"
#include "sidecar/doorway.h"
#include "sidecar/gateway_socket.h"
#include "sidecar/seat.h"
#include "sidecar/seat_table.h"

struct gateway_doorway {
	TAILQ_ENTRY(gateway_doorway) link;
	struct gateway_doorways *owner;
	struct doorway *doorway;
	/* Whose connections go out by it; NULL: none has come yet. */
	const struct seat_entry *seat;
	bool lost;
};

struct gateway_doorways {
	struct gateway_doorways_config config;
	struct gateway_socket *socket;
	struct event *reap; /* doors are shut */
	TAILQ_HEAD(, gateway_doorway) all;
	size_t n;
};

static void doorway_remove(struct gateway_doorway *d)
{
	TAILQ_REMOVE(&d->owner->all, d, link);
	d->owner->n--;
	doorway_free(d->doorway);
	free(d);
}

static void on_reap(evutil_socket_t fd, short what, void *arg)
{
	struct gateway_doorways *g = arg;
	struct gateway_doorway *d, *next;

	for (d = TAILQ_FIRST(&g->all); d; d = next) {
		next = TAILQ_NEXT(d, link);
		if (d->lost)
			doorway_remove(d);
	}
}

static struct metrics *on_execution(void *ctx, const char *execution)
{
	struct gateway_doorway *d = ctx;

	d->seat = seat_table_find(d->owner->config.seats, execution);
	return d->seat ? seat_metrics(d->seat->seat) : NULL;
}

static void on_lost(void *ctx, const char *reason)
{
	struct gateway_doorway *d = ctx;

	log_debug("-", "a door is shut: %s", reason);
	d->lost = true;
	event_active(d->owner->reap, EV_TIMEOUT, 0);
}

static int add(struct gateway_doorways *g, int fd)
{
	struct doorway_config config = {
		.base = g->config.base,
		.server = g->config.server,
		.on_execution = on_execution,
		.on_lost = on_lost,
	};
	struct gateway_doorway *d;
	int r;

	/* Each is one of an execution that has a seat. */
	d = g->n < SEATS_MAX ? calloc(1, sizeof(*d)) : NULL;
	if (!d) {
		close(fd);
		return g->n < SEATS_MAX ? -ENOMEM : -EBUSY;
	}
	d->owner = g;
	config.ctx = d;
	r = doorway_new_fd(&d->doorway, &config, fd);
	if (r < 0) {
		free(d);
		return r;
	}
	TAILQ_INSERT_TAIL(&g->all, d, link);
	g->n++;
	return 0;
}

static void on_connection(int fd, void *ctx)
{
	struct gateway_doorways *g = ctx;
	int r = add(g, fd);

	if (r < 0)
		log_error("-", "a door is refused: %s, there are %zu",
			  strerror(-r), g->n);
}

int gateway_doorways_new(struct gateway_doorways **out,
			 const struct gateway_doorways_config *config,
			 char *err, size_t err_size)
{
	struct gateway_doorways *g = calloc(1, sizeof(*g));
	const struct gateway_socket_config socket = {
		.base = config->base,
		.address = config->address,
		.packets = true,
		.on_connection = on_connection,
		.ctx = g,
	};
	int r = -ENOMEM;

	if (!g)
		return -ENOMEM;
	g->config = *config;
	TAILQ_INIT(&g->all);
	g->reap = event_new(config->base, -1, 0, on_reap, g);
	if (g->reap)
		r = gateway_socket_new(&g->socket, &socket, err, err_size);
	if (r < 0)
		gateway_doorways_free(g);
	else
		*out = g;
	return r;
}

void gateway_doorways_free(struct gateway_doorways *g)
{
	if (!g)
		return;
	gateway_socket_free(g->socket);
	while (!TAILQ_EMPTY(&g->all))
		doorway_remove(TAILQ_FIRST(&g->all));
	if (g->reap)
		event_free(g->reap);
	free(g);
}

void gateway_doorways_end(struct gateway_doorways *g,
			  const struct seat_entry *e)
{
	struct gateway_doorway *d, *next;

	for (d = g ? TAILQ_FIRST(&g->all) : NULL; d; d = next) {
		next = TAILQ_NEXT(d, link);
		if (d->seat == e)
			doorway_remove(d);
	}
}

uint32_t gateway_doorways_connections(const struct gateway_doorways *g)
{
	const struct gateway_doorway *d;
	uint32_t n = 0;

	for (d = g ? TAILQ_FIRST(&g->all) : NULL; d; d = TAILQ_NEXT(d, link))
		n += doorway_connections(d->doorway);
	return n;
}
