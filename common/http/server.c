#include "common/http/server.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/http/conn.h"
#include "common/http/listener.h"
#include "common/http/server_state.h"
#include "common/http/transport.h"

#define SWEEP_SLACK_MS 5
/* Over the limit, so many connections are told so politely; the others see
 * a closed connection. */
#define REFUSED_MAX 64

const struct http_limits HTTP_LIMITS_DEFAULT = {
	.connections = 1024,
	.header_bytes = 32768,
	.header_count = 100,
	.body_bytes = 16 * 1024 * 1024,
	.header_timeout_ms = 10000,
	.body_idle_timeout_ms = 30000,
	.idle_timeout_ms = 75000,
	.write_idle_timeout_ms = 30000,
	.concurrent_streams = 100,
	.resets_per_10s = 200,
	.control_frames_per_10s = 2000,
	.pipelined = 32,
	.write_backlog_bytes = 256 * 1024,
	.reply_bytes = 256 * 1024 * 1024,
};

/* --- the turn ----------------------------------------------------------- */

void server_enter(struct http_server *s)
{
	s->in_turn = true;
	s->now_ms = clock_mono_ms();
}

uint64_t server_now(struct http_server *s)
{
	if (!s->in_turn)
		s->now_ms = clock_mono_ms();
	return s->now_ms;
}

static void server_bury(struct http_server *s, struct http_conn *c)
{
	TAILQ_REMOVE(&s->conns, c, link);
	TAILQ_INSERT_TAIL(&s->dead, c, link);
	s->stats.connections_open--;
	s->refused_open -= c->refused;
	if (c->counted)
		network_leave(&s->networks, c->peer.network);
	conn_lost(c);
}

static void server_reap(struct http_server *s)
{
	struct http_exchange *ex;
	struct http_conn *c;

	while ((ex = TAILQ_FIRST(&s->dead_exchanges))) {
		TAILQ_REMOVE(&s->dead_exchanges, ex, link);
		exchange_free(ex);
	}
	while ((c = TAILQ_FIRST(&s->dead))) {
		TAILQ_REMOVE(&s->dead, c, link);
		conn_free(c);
	}
}

void server_leave(struct http_server *s)
{
	struct http_conn *c;

	while ((c = TAILQ_FIRST(&s->marked))) {
		TAILQ_REMOVE(&s->marked, c, marked_link);
		c->marked = false;
		if (c->state != CONN_CLOSED)
			conn_service(c);
		if (c->state == CONN_CLOSED)
			server_bury(s, c);
	}
	server_reap(s);
	s->in_turn = false;
	if (s->draining && s->on_drained && TAILQ_EMPTY(&s->conns)) {
		void (*on_drained)(void *) = s->on_drained;

		s->on_drained = NULL;
		on_drained(s->drained_ctx); /* s may be gone after this */
	}
}

void server_schedule(struct http_server *s)
{
	if (!s->in_turn)
		event_active(s->turn_ev, EV_TIMEOUT, 0);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *s = arg;

	server_enter(s);
	server_leave(s);
}

/* --- deadlines ---------------------------------------------------------- */

void server_wake_at(struct http_server *s, uint64_t at_ms)
{
	struct timeval tv;
	uint64_t in_ms;

	if (at_ms >= s->sweep_at_ms)
		return;
	s->sweep_at_ms = at_ms;
	in_ms = at_ms > s->now_ms ? at_ms - s->now_ms : 0;
	tv = clock_timeval(in_ms + SWEEP_SLACK_MS);
	event_add(s->sweep_ev, &tv);
}

/* Deadlines move on all the time, and mostly never come: they are looked at
 * when the earliest of those known last time is due. */
static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *s = arg;
	uint64_t next_ms = CONN_NEVER_MS;
	struct http_conn *c;

	server_enter(s);
	s->sweep_at_ms = CONN_NEVER_MS;
	TAILQ_FOREACH(c, &s->conns, link) {
		if (c->state == CONN_CLOSED)
			continue;
		if (c->deadline_ms <= s->now_ms)
			conn_timeout(c);
		else
			next_ms = MIN(next_ms, c->deadline_ms);
	}
	if (next_ms != CONN_NEVER_MS)
		server_wake_at(s, next_ms);
	server_leave(s);
}

/* --- connections -------------------------------------------------------- */

void server_adopt(struct http_server *s, struct transport *transport,
		  const struct http_peer *peer)
{
	bool counts = s->limits.network_connections && !peer->is_unix;
	bool full = s->stats.connections_open - s->refused_open >=
		    s->limits.connections;
	struct http_conn *c;

	if (counts && !full &&
	    network_join(&s->networks, peer->network,
			 s->limits.network_connections) < 0) {
		counts = false;
		full = true;
	}
	if (full && s->refused_open >= REFUSED_MAX) {
		s->stats.refused_total++;
		transport->ops->free(transport);
		return;
	}
	if (conn_new(&c, s, transport, peer) < 0) {
		if (counts && !full)
			network_leave(&s->networks, peer->network);
		return;
	}
	c->counted = counts && !full;
	if (!full)
		return;
	s->refused_open++;
	conn_refuse(c);
}

const char *server_date(struct http_server *s)
{
	int64_t now_s = clock_wall_s();
	time_t t = (time_t)now_s;
	struct tm tm;

	if (now_s == s->date_s)
		return s->date;
	s->date_s = now_s;
	gmtime_r(&t, &tm);
	s->date_len = strftime(s->date, sizeof(s->date),
			       "%a, %d %b %Y %H:%M:%S GMT", &tm);
	return s->date;
}

/* --- the server --------------------------------------------------------- */

int http_server_new(struct http_server **out, struct event_base *base,
		    const struct http_limits *limits, http_handler_fn handler,
		    void *ctx)
{
	struct http_server *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->base = base;
	s->limits = limits ? *limits : HTTP_LIMITS_DEFAULT;
	s->handler = handler;
	s->ctx = ctx;
	s->sweep_at_ms = CONN_NEVER_MS;
	s->date_s = -1;
	s->now_ms = clock_mono_ms();
	TAILQ_INIT(&s->conns);
	TAILQ_INIT(&s->marked);
	TAILQ_INIT(&s->dead);
	TAILQ_INIT(&s->dead_exchanges);
	TAILQ_INIT(&s->listeners);
	s->scratch = malloc(SERVER_READ_BYTES);
	s->turn_ev = event_new(base, -1, 0, on_turn, s);
	s->sweep_ev = event_new(base, -1, 0, on_sweep, s);
	if (!s->scratch || !s->turn_ev || !s->sweep_ev) {
		http_server_free(s);
		return -ENOMEM;
	}
	*out = s;
	return 0;
}

static void server_close_listeners(struct http_server *s)
{
	struct listener *l;

	while ((l = TAILQ_FIRST(&s->listeners)))
		listener_free(l);
}

void http_server_free(struct http_server *s)
{
	struct http_conn *c;

	if (!s)
		return;
	s->on_drained = NULL;
	s->in_turn = true;
	server_close_listeners(s);
	TAILQ_FOREACH(c, &s->conns, link)
		conn_close(c, "the server ends");
	server_leave(s);
	if (s->turn_ev)
		event_free(s->turn_ev);
	if (s->sweep_ev)
		event_free(s->sweep_ev);
	free(s->scratch);
	free(s);
}

void http_server_drain(struct http_server *s, void (*done)(void *ctx),
		       void *ctx)
{
	struct http_conn *c;

	s->draining = true;
	s->on_drained = done;
	s->drained_ctx = ctx;
	server_close_listeners(s);
	TAILQ_FOREACH(c, &s->conns, link)
		conn_drain(c);
	server_schedule(s);
}

void http_server_get_stats(const struct http_server *s,
			   struct http_server_stats *out)
{
	*out = s->stats;
}
