#include "common/http/conn.h"

#include <errno.h>
#include <string.h>

#include "common/http/account.h"
#include "common/http/h2.h"
#include "common/http/h2_session.h"
#include "common/http/problem.h"
#include "common/http/server_state.h"
#include "common/http/transport.h"

#define CONN_READ_AHEAD_BYTES 65536 /* held back, then reading stops */
#define CONN_LINGER_MS 2000
#define CONN_ROUNDS 8 /* of input and output in one service */
#define CONN_SENDS_PER_ROUND 2

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);

/* --- life --------------------------------------------------------------- */

int conn_new(struct http_conn **out, struct http_server *s,
	     struct transport *transport, const struct http_peer *peer)
{
	struct http_conn *c = calloc(1, sizeof(*c));

	if (!c) {
		transport->ops->free(transport);
		return -ENOMEM;
	}
	c->server = s;
	c->transport = transport;
	c->peer = *peer;
	c->active_ms = server_now(s);
	c->written_ms = c->active_ms;
	event_assign(&c->read_ev, s->base, transport->fd, EV_READ | EV_PERSIST,
		     on_readable, c);
	event_assign(&c->write_ev, s->base, transport->fd,
		     EV_WRITE | EV_PERSIST, on_writable, c);
	TAILQ_INSERT_TAIL(&s->conns, c, link);
	s->stats.connections_total++;
	s->stats.connections_open++;
	conn_mark(c);
	*out = c;
	return 0;
}

void conn_free(struct http_conn *c)
{
	if (c->h2)
		h2_stop(c);
	buf_deinit(&c->in);
	buf_deinit(&c->out);
	conn_count(c);
	account_forget(c);
	c->transport->ops->free(c->transport);
	free(c);
}

static void conn_set_state(struct http_conn *c, enum conn_state state)
{
	if (state <= c->state)
		return; /* only forward, see the diagram */
	c->state = state;
	conn_mark(c);
}

void conn_close(struct http_conn *c, const char *reason)
{
	if (c->state == CONN_CLOSED)
		return;
	if (!c->close_reason)
		c->close_reason = reason;
	conn_set_state(c, CONN_CLOSED);
	event_del(&c->read_ev);
	event_del(&c->write_ev);
	c->reading = c->writing = false;
}

void conn_lost(struct http_conn *c)
{
	c->marked = true; /* nothing is left to look at */
	if (c->protocol)
		c->protocol->closed(c);
}

void conn_finish(struct http_conn *c, bool linger, const char *reason)
{
	if (c->state >= CONN_FLUSHING)
		return;
	c->close_reason = reason;
	c->linger = linger;
	conn_set_state(c, CONN_FLUSHING);
}

void conn_drain(struct http_conn *c)
{
	if (c->protocol && c->state == CONN_OPEN)
		c->protocol->drain(c);
	else if (c->state == CONN_OPENING)
		conn_close(c, "draining");
	conn_mark(c);
}

void conn_refuse(struct http_conn *c)
{
	struct http_exchange *ex;

	c->refused = true;
	c->server->stats.refused_total++;
	c->protocol = &H1_PROTOCOL;
	conn_set_state(c, CONN_OPEN);
	ex = exchange_new(c, 0, 0);
	if (c->peer.is_tls || !ex) {
		if (ex)
			exchange_free(ex);
		conn_close(c, "too many connections");
		return;
	}
	c->h1.ex = ex;
	http_problem(ex, 503, "too_many_connections", NULL,
		     "the server has reached its limit of %u connections; "
		     "try again later",
		     c->server->limits.connections);
}

void conn_mark(struct http_conn *c)
{
	c->again = true;
	if (c->marked || c->in_service)
		return;
	c->marked = true;
	TAILQ_INSERT_TAIL(&c->server->marked, c, marked_link);
	server_schedule(c->server);
}

void conn_count(struct http_conn *c)
{
	uint64_t now = c->out.len + (c->h2 ? c->h2->reply_bytes : 0);

	c->server->stats.reply_bytes += now - c->reply_bytes;
	account_add(c->account, now, c->reply_bytes);
	c->reply_bytes = now;
}

void conn_kick(struct http_conn *c)
{
	c->kicked = true;
	conn_mark(c);
}

/* --- in ----------------------------------------------------------------- */

/* 0 while it cannot be told yet. */
static int conn_choose_protocol(struct http_conn *c, const uint8_t *data,
				size_t len)
{
	size_t n = MIN(len, (size_t)H2_PREFACE_BYTES);
	bool h2 = c->transport->ops->is_h2(c->transport);

	if (!h2 && n && memcmp(data, H2_PREFACE, n) == 0) {
		if (n < H2_PREFACE_BYTES)
			return 0;
		h2 = true;
	}
	c->protocol = h2 ? &H2_PROTOCOL : &H1_PROTOCOL;
	if (h2 && h2_start(c) < 0) {
		c->protocol = NULL;
		conn_close(c, "out of memory");
		return 0;
	}
	conn_set_state(c, CONN_OPEN);
	if (c->server->draining)
		c->protocol->drain(c);
	return 1;
}

/* Returns the bytes that are done with. */
static size_t conn_parse(struct http_conn *c, const uint8_t *data, size_t len)
{
	size_t used = 0;

	if (c->state >= CONN_FLUSHING)
		return len;
	if (!c->protocol && !conn_choose_protocol(c, data, len))
		return 0;
	c->in_input = true;
	if (c->state == CONN_OPEN)
		used = c->protocol->input(c, data, len);
	c->in_input = false;
	return c->state == CONN_OPEN ? used : len;
}

void conn_input_held(struct http_conn *c)
{
	buf_consume(&c->in, conn_parse(c, c->in.data, c->in.len));
	if (!c->in.len)
		buf_deinit(&c->in);
}

static void conn_input(struct http_conn *c, const uint8_t *data, size_t len)
{
	size_t used = 0;

	if (!c->in.len)
		used = conn_parse(c, data, len);
	if (used == len)
		return;
	if (buf_append(&c->in, data + used, len - used) < 0)
		conn_close(c, "out of memory");
	else if (!used && c->in.len > len)
		conn_input_held(c);
}

static void conn_eof(struct http_conn *c)
{
	c->eof = true;
	if (c->state == CONN_FLUSHING)
		return;
	if (c->state != CONN_OPEN || !c->protocol->eof(c))
		conn_close(c, "closed by the peer");
}

static void conn_read(struct http_conn *c)
{
	struct transport *t = c->transport;
	ssize_t n;

	do {
		n = t->ops->recv(t, c->server->scratch, SERVER_READ_BYTES);
		if (n > 0)
			conn_input(c, c->server->scratch, (size_t)n);
		else if (n == 0)
			conn_eof(c);
		else if (n != -EAGAIN)
			conn_close(c, "reading failed");
	} while (n > 0 && c->state != CONN_CLOSED && t->ops->pending(t));
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct http_conn *c = arg;

	server_enter(c->server);
	conn_mark(c);
	conn_read(c);
	server_leave(c->server);
}

/* --- out ---------------------------------------------------------------- */

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct http_conn *c = arg;

	server_enter(c->server);
	conn_mark(c);
	if (c->transport->recv_wants_write)
		conn_read(c);
	server_leave(c->server);
}

/* False when the socket takes nothing more for now. */
static bool conn_send(struct http_conn *c)
{
	ssize_t n;

	n = c->transport->ops->send(c->transport, c->out.data, c->out.len);
	if (n == -EAGAIN)
		return false;
	if (n < 0) {
		conn_close(c, "writing failed");
		return false;
	}
	c->written_ms = c->server->now_ms;
	buf_consume(&c->out, (size_t)n);
	return true;
}

static void conn_flush(struct http_conn *c)
{
	int sends = 0;
	bool room = true;

	if (!c->writing)
		c->written_ms = c->server->now_ms;
	while (room) {
		if (c->state == CONN_OPEN)
			c->protocol->output(c);
		if (!c->out.len || c->state == CONN_CLOSED)
			break;
		c->again |= sends == CONN_SENDS_PER_ROUND;
		if (sends++ == CONN_SENDS_PER_ROUND)
			break;
		room = conn_send(c);
	}
	if (!c->out.len)
		buf_deinit(&c->out);
	if (c->state == CONN_OPEN)
		c->protocol->written(c);
}

/* All is written: what comes next for a connection that is ending. */
static void conn_flushed(struct http_conn *c)
{
	if (c->state == CONN_OPEN && c->eof && !c->kicked &&
	    !c->protocol->busy(c)) {
		conn_close(c, "closed by the peer");
	} else if (c->state == CONN_FLUSHING) {
		c->transport->ops->shutdown(c->transport);
		c->written_ms = c->server->now_ms;
		if (c->linger && !c->eof)
			conn_set_state(c, CONN_LINGERING);
		else
			conn_close(c, c->close_reason);
	}
}

/* --- events and deadline ------------------------------------------------ */

static bool conn_wants_read(const struct http_conn *c)
{
	const struct http_limits *l = &c->server->limits;

	if (c->eof)
		return false;
	if (c->state >= CONN_FLUSHING)
		return true; /* to throw it away, and to see the end */
	return c->in.len <= MAX(CONN_READ_AHEAD_BYTES, l->header_bytes) &&
	       c->out.len <= l->write_backlog_bytes;
}

static void conn_set_event(struct event *ev, bool *added, bool wanted)
{
	if (*added == wanted)
		return;
	*added = wanted;
	if (wanted)
		event_add(ev, NULL);
	else
		event_del(ev);
}

static bool conn_patient(const struct http_conn *c)
{
	return c->state == CONN_OPEN && c->protocol->patient(c);
}

static uint64_t conn_deadline(const struct http_conn *c)
{
	const struct http_limits *l = &c->server->limits;
	uint64_t at = CONN_NEVER_MS;

	if (c->state == CONN_LINGERING)
		return c->written_ms + CONN_LINGER_MS;
	if (c->state == CONN_OPENING)
		at = c->active_ms + (c->peer.is_tls || c->in.len
					     ? l->header_timeout_ms
					     : l->idle_timeout_ms);
	else if (c->state == CONN_OPEN)
		at = c->protocol->deadline(c);
	if ((c->out.len && !conn_patient(c)) || c->eof)
		at = MIN(at, c->written_ms + l->write_idle_timeout_ms);
	return at;
}

void conn_timeout(struct http_conn *c)
{
	const struct http_limits *l = &c->server->limits;
	bool stuck = c->written_ms + l->write_idle_timeout_ms <=
		     c->server->now_ms;

	if (stuck && c->out.len && (c->eof || !conn_patient(c)))
		conn_close(c, "the peer does not take what is written");
	else if (stuck && c->eof)
		conn_close(c, "closed by the peer before its reply");
	else if (c->state == CONN_OPEN)
		c->protocol->timeout(c);
	else
		conn_close(c, "timed out");
	conn_mark(c);
}

void conn_service(struct http_conn *c)
{
	int i;

	c->in_service = true;
	for (i = 0; i < CONN_ROUNDS && c->state != CONN_CLOSED; i++) {
		c->again = false;
		if (c->kicked && c->state == CONN_OPEN) {
			c->kicked = false;
			c->protocol->wake(c);
		}
		if (c->state != CONN_CLOSED)
			conn_flush(c);
		if (!c->out.len && !c->again)
			conn_flushed(c);
		if (!c->again || c->out.len)
			break;
	}
	c->in_service = false;
	conn_count(c);
	if (c->state == CONN_CLOSED)
		return;
	conn_set_event(&c->read_ev, &c->reading, conn_wants_read(c));
	conn_set_event(&c->write_ev, &c->writing,
		       c->out.len || c->again ||
			       c->transport->recv_wants_write);
	c->deadline_ms = conn_deadline(c);
	server_wake_at(c->server, c->deadline_ms);
}
