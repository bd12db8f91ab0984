#include "sidecar/sidecar.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "backend-client/client.h"
#include "common/again.h"
#include "common/buf.h"
#include "common/http/server.h"
#include "sidecar/doorway.h"
#include "sidecar/execution.h"
#include "sidecar/health.h"
#include "sidecar/hold.h"
#include "sidecar/idle.h"
#include "sidecar/limits.h"
#include "sidecar/listen.h"
#include "sidecar/options.h"
#include "sidecar/request.h"
#include "sidecar/routes.h"
#include "sidecar/seat.h"

struct sidecar {
	const struct sidecar_options *options;
	struct event_base *base;
	struct http_server *server;
	struct seat *seat;
	struct doorway *doorway; /* NULL: nothing goes in or out by it */
	struct sockaddr_un again, door_again; /* family 0: nowhere */
	struct health_source health;
	struct hold hold;
	struct event *sigterm, *sigint;
	struct idle idle;
	int exit_code;
};

/* --- requests ------------------------------------------------------------- */

static void read_health(const void *ctx, struct health *out)
{
	const struct sidecar *s = ctx;
	const struct execution *x = seat_execution(s->seat);
	enum seat_state state = seat_state(s->seat);
	struct http_server_stats stats;

	http_server_get_stats(s->server, &stats);
	out->gauges.connections = stats.connections_open;
	out->gauges.proxy_connections = doorway_connections(s->doorway);
	out->state = seat_state_name(state);
	out->ready = state == SEAT_READY || state == SEAT_ASSIGNED;
	health_add_seat(out, s->seat);
	if (x)
		out->gauges.breaker = (int)backend_client_breaker(x->backend);
}

static void on_request(struct http_exchange *ex, void *ctx)
{
	struct sidecar *s = ctx;
	enum seat_state state = seat_state(s->seat);
	struct request req;

	if (!routes_find(&req, ex, seat_metrics(s->seat),
			 seat_execution(s->seat)))
		return;
	req.health = &s->health;
	if (routes_is_public(&req) || state == SEAT_ASSIGNED)
		routes_run(&req);
	else if (state < SEAT_ASSIGNED)
		hold_add(&s->hold, &req);
	else
		reply_draining(&req.reply);
}

/* --- the seat ------------------------------------------------------------- */

static void on_assigned(struct seat *seat, void *ctx)
{
	struct sidecar *s = ctx;
	struct http_exchange *ex;

	if (s->doorway && s->door_again.sun_family && seat_is_kept(seat) &&
	    doorway_keep(s->doorway, &s->door_again) < 0)
		seat_drain(seat, "out of memory");
	while ((ex = hold_take(&s->hold)))
		on_request(ex, s);
	idle_look_soon(&s->idle);
}

static void on_gone(struct seat *seat, bool failed, void *ctx)
{
	struct sidecar *s = ctx;

	if (failed)
		s->exit_code = 1;
	event_base_loopbreak(s->base);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	struct sidecar *s = arg;

	seat_drain(s->seat, number == SIGTERM ? "SIGTERM" : "SIGINT");
}

/* --- set-up --------------------------------------------------------------- */

static int set_up_loop(struct sidecar *s)
{
	struct event_config *config = event_config_new();

	if (!config)
		return -ENOMEM;
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	s->base = event_base_new_with_config(config);
	event_config_free(config);
	if (!s->base)
		return -ENOMEM;
	s->sigterm = evsignal_new(s->base, SIGTERM, on_signal, s);
	s->sigint = evsignal_new(s->base, SIGINT, on_signal, s);
	if (!s->sigterm || !s->sigint || event_add(s->sigterm, NULL) < 0 ||
	    event_add(s->sigint, NULL) < 0)
		return -ENOMEM;
	return hold_init(&s->hold, s->base);
}

/* Where nothing is said that is where the first ones were, if they have a
 * path. */
static int find_again(struct sidecar *s)
{
	const struct sidecar_options *o = s->options;
	bool dir = o->again && !strncmp(o->again, "dir:", 4);
	const char *control = o->again ?: o->control;
	const char *door = dir ? o->again : o->door;
	int r = 0;

	if (strncmp(control, "fd:", 3))
		r = again_address(&s->again, control, AGAIN_CONTROL);
	if (!r && door && strncmp(door, "fd:", 3))
		r = again_address(&s->door_again, door, AGAIN_DOOR);
	return r;
}

/* ready: what READY says. */
static int set_up_server(struct sidecar *s, struct buf *ready, char *err,
			 size_t err_size)
{
	struct http_limits limits = HTTP_LIMITS_DEFAULT;
	int r;

	limits.reply_bytes = LIMITS_REPLY_BYTES;
	if ((r = http_server_new(&s->server, s->base, &limits, on_request,
				 s)) ||
	    (r = idle_init(&s->idle, s->base, s->server)) ||
	    (r = buf_printf(ready, "{\"version\":\"%s\",\"pid\":%d,\"listen\":",
			    CRONIUM_VERSION, (int)getpid())) ||
	    (r = listen_all(s->server, &s->options->listen, ready, err,
			    err_size)) ||
	    (r = buf_append(ready, "}", 1)))
		return r;
	return buf_cstr(ready) ? 0 : -ENOMEM;
}

static int set_up_doorway(struct sidecar *s, char *err, size_t err_size)
{
	const struct doorway_config config = {
		.base = s->base,
		.server = s->server,
		.metrics = seat_metrics(s->seat),
	};
	const char *what = "use the door";
	const char *which = s->options->door;
	int r = doorway_new(&s->doorway, &config, which);

	if (!r && s->options->proxy) {
		what = "listen for the proxy on";
		which = s->options->proxy;
		r = doorway_listen(s->doorway, which);
	}
	if (r < 0)
		snprintf(err, err_size, "cannot %s %s: %s", what, which,
			 strerror(-r));
	return r;
}

/* Listens, then says so. */
static int set_up_doors(struct sidecar *s, char *err, size_t err_size)
{
	static const struct seat_ops ops = {
		.on_assigned = on_assigned,
		.on_gone = on_gone,
	};
	_cleanup_(buf_deinit) struct buf ready = { 0 };
	struct seat_config config = {
		.base = s->base,
		.backend = s->options->backend,
		.ops = &ops,
		.ctx = s,
	};
	int r = set_up_server(s, &ready, err, err_size);

	if (r < 0)
		return r;
	idle_look_soon(&s->idle);
	config.ready = (const char *)ready.data;
	config.again = s->again.sun_family ? &s->again : NULL;
	r = seat_new(&s->seat, &config, s->options->control);
	if (r < 0)
		snprintf(err, err_size, "cannot use the control socket %s: %s",
			 s->options->control, strerror(-r));
	return r || !s->options->door ? r : set_up_doorway(s, err, err_size);
}

int sidecar_new(struct sidecar **out, const struct sidecar_options *options,
		char *err, size_t err_size)
{
	struct sidecar *s = calloc(1, sizeof(*s));
	int r;

	snprintf(err, err_size, "out of memory");
	if (!s)
		return -ENOMEM;
	s->options = options;
	s->health = (struct health_source){ read_health, s };
	r = set_up_loop(s);
	if (!r) {
		r = find_again(s);
		if (r < 0)
			snprintf(err, err_size,
				 "cannot connect again to %s: %s; --again is "
				 "a path, or dir:N of an inherited descriptor",
				 options->again ?: options->control,
				 strerror(-r));
	}
	if (!r)
		r = set_up_doors(s, err, err_size);
	if (r < 0) {
		sidecar_free(s);
		return r;
	}
	*out = s;
	return 0;
}

int sidecar_run(struct sidecar *s)
{
	if (event_base_dispatch(s->base) < 0)
		return 1;
	return s->exit_code;
}

static void free_event(struct event *ev)
{
	if (ev)
		event_free(ev);
}

void sidecar_free(struct sidecar *s)
{
	if (!s)
		return;
	doorway_free(s->doorway);
	http_server_free(s->server);
	seat_free(s->seat);
	hold_deinit(&s->hold);
	free_event(s->sigterm);
	free_event(s->sigint);
	idle_deinit(&s->idle);
	if (s->base) {
		/* What was closed a moment ago is freed at the turn's end. */
		event_base_loop(s->base, EVLOOP_NONBLOCK);
		event_base_free(s->base);
	}
	free(s);
}
