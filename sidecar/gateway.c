#include "sidecar/gateway.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/http/server.h"
#include "common/http/tls.h"
#include "common/log.h"
#include "sidecar/execution.h"
#include "sidecar/gateway_doorways.h"
#include "sidecar/gateway_request.h"
#include "sidecar/gateway_socket.h"
#include "sidecar/idle.h"
#include "sidecar/listen.h"
#include "sidecar/options.h"
#include "sidecar/seat.h"
#include "sidecar/seat_table.h"

struct gateway {
	const struct sidecar_options *options;
	struct event_base *base;
	struct http_tls *tls;
	struct http_server *server;
	struct gateway_socket *control;
	struct gateway_doorways *doorways; /* NULL: no --door */
	struct gateway_door door;
	struct buf ready; /* payload of READY */
	struct event *sigterm, *sigint, *sighup;
	struct event *reap; /* seats are gone */
	struct idle idle;
	bool stopping;
};

/* --- seats ---------------------------------------------------------------- */

static void on_assigned(struct seat *seat, void *ctx)
{
	struct seat_entry *e = ctx;
	struct gateway *g = e->owner;

	if (seat_table_open(g->door.seats, e) < 0)
		seat_drain(seat, "it has no place among the others");
	idle_look_soon(&g->idle);
}

/* Nobody is in charge: what its token may is over at once. */
static void on_lost(struct seat *seat, void *ctx)
{
	struct seat_entry *e = ctx;
	struct gateway *g = e->owner;

	seat_table_end(g->door.seats, e);
	gateway_doorways_end(g->doorways, e);
	if (seat_execution(seat))
		execution_end_reads(seat_execution(seat));
}

static void on_gone(struct seat *seat, bool failed, void *ctx)
{
	struct seat_entry *e = ctx;
	struct gateway *g = e->owner;

	seat_table_end(g->door.seats, e);
	gateway_doorways_end(g->doorways, e);
	e->gone = true;
	event_active(g->reap, EV_TIMEOUT, 0);
}

static void on_reap(evutil_socket_t fd, short what, void *arg)
{
	struct gateway *g = arg;
	struct seat_entry *e, *next;

	for (e = seat_table_first(g->door.seats); e; e = next) {
		next = TAILQ_NEXT(e, link);
		if (!e->gone)
			continue;
		metrics_add(&g->door.metrics, seat_metrics(e->seat));
		seat_table_remove(g->door.seats, e);
	}
	idle_look_soon(&g->idle);
	if (g->stopping && !seat_table_count(g->door.seats))
		event_base_loopbreak(g->base);
}

static void on_stream(int fd, void *ctx)
{
	static const struct seat_ops ops = {
		.on_assigned = on_assigned,
		.on_lost = on_lost,
		.on_gone = on_gone,
	};
	struct gateway *g = ctx;
	struct seat_config config = {
		.base = g->base,
		.backend = g->options->backend,
		.ready = (const char *)g->ready.data,
		.rate_requests = { g->options->rate_requests.per_min,
				   g->options->rate_requests.burst },
		.ops = &ops,
	};
	struct seat_entry *e;
	int r = seat_table_add(g->door.seats, &e);

	if (r < 0) {
		log_error("-", "a control stream is refused: %s, there are %zu",
			  strerror(-r), seat_table_count(g->door.seats));
		close(fd);
		return;
	}
	e->owner = g;
	config.ctx = e;
	r = seat_new_fd(&e->seat, &config, fd);
	if (r < 0) {
		log_error("-", "a control stream cannot be served: %s",
			  strerror(-r));
		seat_table_remove(g->door.seats, e);
	}
}

/* --- requests ------------------------------------------------------------- */

static void on_request(struct http_exchange *ex, void *ctx)
{
	struct gateway *g = ctx;

	gateway_door_request(&g->door, ex);
}

static void read_health(const void *ctx, struct health *out)
{
	const struct gateway *g = ctx;
	struct http_server_stats stats;
	struct seat_entry *e;

	http_server_get_stats(g->server, &stats);
	out->gauges.connections = stats.connections_open;
	out->gauges.proxy_connections = gateway_doorways_connections(
		g->doorways);
	out->state = g->stopping ? "draining" : "ready";
	out->ready = !g->stopping;
	for (e = seat_table_first(g->door.seats); e; e = TAILQ_NEXT(e, link))
		health_add_seat(out, e->seat);
}

/* --- signals -------------------------------------------------------------- */

static void on_stop(evutil_socket_t number, short what, void *arg)
{
	struct gateway *g = arg;
	struct seat_entry *e;

	if (g->stopping)
		return;
	g->stopping = true;
	gateway_socket_free(g->control);
	g->control = NULL;
	for (e = seat_table_first(g->door.seats); e; e = TAILQ_NEXT(e, link))
		seat_drain(e->seat, number == SIGTERM ? "SIGTERM" : "SIGINT");
	event_active(g->reap, EV_TIMEOUT, 0);
}

static void on_reload(evutil_socket_t number, short what, void *arg)
{
	struct gateway *g = arg;
	char err[512];

	if (http_tls_reload(g->tls, g->options->tls_cert, g->options->tls_key,
			    err, sizeof(err)) < 0)
		log_error("-", "the certificate stays as it was: %s", err);
	else
		log_info("-", "the certificate was read again");
}

/* --- set-up --------------------------------------------------------------- */

static int add_signal(struct gateway *g, struct event **out, int number,
		      event_callback_fn fn)
{
	*out = evsignal_new(g->base, number, fn, g);
	return *out && event_add(*out, NULL) == 0 ? 0 : -ENOMEM;
}

static int set_up_loop(struct gateway *g)
{
	struct event_config *config = event_config_new();
	int r;

	if (!config)
		return -ENOMEM;
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	g->base = event_base_new_with_config(config);
	event_config_free(config);
	if (!g->base)
		return -ENOMEM;
	g->reap = event_new(g->base, -1, 0, on_reap, g);
	if (!g->reap || (r = add_signal(g, &g->sigterm, SIGTERM, on_stop)) ||
	    (r = add_signal(g, &g->sigint, SIGINT, on_stop)) ||
	    (r = add_signal(g, &g->sighup, SIGHUP, on_reload)))
		return -ENOMEM;
	return gateway_door_init(&g->door);
}

/* A descriptor for each connection, and three for each seat. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int set_up_listeners(struct gateway *g, char *err, size_t err_size)
{
	const struct sidecar_options *o = g->options;
	_cleanup_(buf_deinit) struct buf numbers = { 0 };
	const struct option_list metrics = { (const char **)&o->metrics,
					     o->metrics ? 1 : 0 };
	int r;

	if ((r = buf_printf(&g->ready,
			    "{\"version\":\"%s\",\"pid\":%d,\"listen\":",
			    CRONIUM_VERSION, (int)getpid())) ||
	    (r = listen_tls(g->server, &o->listen, g->tls, &g->ready, err,
			    err_size)))
		return r;
	if (o->metrics && (r = listen_tagged(g->server, &metrics, g, &numbers,
					     err, err_size)))
		return r;
	if (o->metrics)
		r = buf_printf(&g->ready, ",\"metrics\":%.*s", (int)numbers.len,
			       (const char *)numbers.data);
	if (!r)
		r = buf_append(&g->ready, "}", 1);
	return r < 0 || !buf_cstr(&g->ready) ? -ENOMEM : 0;
}

/* The door is the last one: who reaches it reaches everything. */
static int set_up_sockets(struct gateway *g, char *err, size_t err_size)
{
	const struct gateway_socket_config control = {
		.base = g->base,
		.address = g->options->control,
		.on_connection = on_stream,
		.ctx = g,
	};
	const struct gateway_doorways_config doorways = {
		.base = g->base,
		.server = g->server,
		.seats = g->door.seats,
		.address = g->options->door,
	};
	int r = gateway_socket_new(&g->control, &control, err, err_size);

	return r || !g->options->door
		       ? r
		       : gateway_doorways_new(&g->doorways, &doorways, err,
					      err_size);
}

static int set_up_server(struct gateway *g, char *err, size_t err_size)
{
	const struct sidecar_options *o = g->options;
	struct http_limits limits = HTTP_LIMITS_DEFAULT;
	int r;

	limits.connections = GATEWAY_CONNECTIONS;
	limits.network_connections = GATEWAY_NETWORK_CONNECTIONS;
	limits.header_timeout_ms = GATEWAY_HEADER_MS;
	limits.reply_bytes = GATEWAY_REPLY_BYTES;
	if ((r = http_tls_new(&g->tls, o->tls_cert, o->tls_key, err,
			      err_size)) ||
	    (r = http_server_new(&g->server, g->base, &limits, on_request,
				 g)) ||
	    (r = idle_init(&g->idle, g->base, g->server)) ||
	    (r = set_up_listeners(g, err, err_size)))
		return r;
	return set_up_sockets(g, err, err_size);
}

int gateway_new(struct gateway **out, const struct sidecar_options *options,
		char *err, size_t err_size)
{
	struct gateway *g = calloc(1, sizeof(*g));
	int r;

	snprintf(err, err_size, "out of memory");
	if (!g)
		return -ENOMEM;
	g->options = options;
	g->door.health = (struct health_source){ read_health, g };
	g->door.metrics_tag = g;
	raise_descriptors();
	r = set_up_loop(g);
	if (!r)
		r = set_up_server(g, err, err_size);
	if (r < 0) {
		gateway_free(g);
		return r;
	}
	idle_look_soon(&g->idle);
	log_info("-", "ready: %s", (const char *)g->ready.data);
	*out = g;
	return 0;
}

int gateway_run(struct gateway *g)
{
	return event_base_dispatch(g->base) < 0 ? 1 : 0;
}

static void free_event(struct event *ev)
{
	if (ev)
		event_free(ev);
}

void gateway_free(struct gateway *g)
{
	if (!g)
		return;
	gateway_socket_free(g->control);
	gateway_doorways_free(g->doorways);
	http_server_free(g->server);
	gateway_door_deinit(&g->door);
	http_tls_free(g->tls);
	free_event(g->sigterm);
	free_event(g->sigint);
	free_event(g->sighup);
	free_event(g->reap);
	idle_deinit(&g->idle);
	buf_deinit(&g->ready);
	if (g->base) {
		/* What was closed a moment ago is freed at the turn's end. */
		event_base_loop(g->base, EVLOOP_NONBLOCK);
		event_base_free(g->base);
	}
	free(g);
}
