#include "backend-client/connection.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend-client/connection_state.h"
#include "backend-client/dial.h"
#include "backend-client/endpoint.h"
#include "backend-client/transport.h"
#include "common/clock.h"

#define CONN_READ_BYTES (16 * 1024)
#define CONN_READS_PER_TURN 8
#define CONN_WRITE_BATCH_BYTES (64 * 1024)
#define CONN_KEEP_BUFFER_BYTES (32 * 1024)

void conn_set_timer(struct client_conn *conn, uint32_t ms)
{
	const struct timeval tv = clock_timeval(ms);

	if (ms)
		event_add(&conn->timer, &tv);
	else
		event_del(&conn->timer);
}

/* The one way down. The memory stays until the owner frees it. */
static void conn_fail(struct client_conn *conn, int error, const char *why)
{
	struct client_stream *s;

	if (conn->state == CONN_CLOSED)
		return;
	conn->state = CONN_CLOSED;
	event_del(&conn->readable);
	event_del(&conn->writable);
	event_del(&conn->flush);
	event_del(&conn->timer);
	while ((s = TAILQ_FIRST(&conn->streams)))
		conn_close_stream(conn, s,
				  conn->written <= s->starts_at
					  ? CLIENT_STREAM_UNSENT
					  : CLIENT_STREAM_BROKEN,
				  why);
	conn->ops->on_lost(conn->ctx, conn, error, why);
}

static void conn_fail_io(struct client_conn *conn, ssize_t r)
{
	char why[128];

	if (!r) {
		conn_fail(conn, -ECONNRESET,
			  "the backend closed the connection");
		return;
	}
	snprintf(why, sizeof(why), "the connection to the backend broke: %s",
		 strerror((int)-r));
	conn_fail(conn, (int)r, why);
}

static void conn_fail_protocol(struct client_conn *conn, ssize_t code)
{
	char why[160];

	snprintf(why, sizeof(why), "the backend does not speak HTTP/2: %s",
		 nghttp2_strerror((int)code));
	conn_fail(conn, -EPROTO, why);
}

/* --- writing ------------------------------------------------------------- */

void conn_schedule_flush(struct client_conn *conn)
{
	if (conn->state >= CONN_SETTINGS && conn->state < CONN_CLOSED)
		event_active(&conn->flush, EV_WRITE, 0);
}

/* Moves frames from nghttp2 to the buffer. False: it cannot go on. */
static bool conn_serialise(struct client_conn *conn, size_t up_to)
{
	while (conn->out.len < up_to) {
		const uint8_t *data;
		ssize_t n = nghttp2_session_mem_send(conn->session, &data);

		if (n < 0) {
			conn_fail_protocol(conn, n);
			return false;
		}
		if (!n)
			break;
		if (buf_append(&conn->out, data, (size_t)n) < 0) {
			conn_fail(conn, -ENOMEM, "out of memory");
			return false;
		}
		conn->serialised += (uint64_t)n;
	}
	return true;
}

/* True once all was written; false: wait, or it failed. */
static bool conn_write(struct client_conn *conn)
{
	while (conn->out.len) {
		ssize_t n = conn->transport->ops->write(conn->transport,
							conn->out.data,
							conn->out.len);

		if (n == -EAGAIN) {
			event_add(&conn->writable, NULL);
			return false;
		}
		if (n < 0) {
			conn_fail_io(conn, n);
			return false;
		}
		conn->written += (uint64_t)n;
		buf_consume(&conn->out, (size_t)n);
	}
	return true;
}

static void conn_step_write(struct client_conn *conn)
{
	do {
		if (!conn_serialise(conn, CONN_WRITE_BATCH_BYTES))
			return;
		if (!conn->out.len)
			break;
	} while (conn_write(conn));
	if (conn->state == CONN_CLOSED || conn->out.len)
		return;
	if (conn->out.cap > CONN_KEEP_BUFFER_BYTES)
		buf_deinit(&conn->out);
	if (!nghttp2_session_want_read(conn->session) &&
	    !nghttp2_session_want_write(conn->session))
		conn_fail(conn, -ECONNRESET,
			  conn->state == CONN_SETTINGS
				  ? "the other side does not speak HTTP/2"
				  : "the backend said goodbye");
}

/* --- reading ------------------------------------------------------------- */

static void conn_step_read(struct client_conn *conn)
{
	uint8_t in[CONN_READ_BYTES];
	int turns = 0;

	while (conn->state < CONN_CLOSED) {
		ssize_t n = conn->transport->ops->read(conn->transport, in,
						       sizeof(in)),
			r;

		if (n == -EAGAIN) {
			if (conn->transport->wants_write)
				event_add(&conn->writable, NULL);
			return;
		}
		if (n <= 0) {
			conn_fail_io(conn, n);
			return;
		}
		conn->heard = true;
		r = nghttp2_session_mem_recv(conn->session, in, (size_t)n);
		if (r < 0) {
			conn_fail_protocol(conn, r);
			return;
		}
		conn_schedule_flush(conn);
		if (conn->config.endpoint->kind != ENDPOINT_TLS &&
		    (size_t)n < sizeof(in))
			return;
		if (++turns == CONN_READS_PER_TURN) {
			event_active(&conn->readable, EV_READ, 0);
			return;
		}
	}
}

/* --- events -------------------------------------------------------------- */

static void conn_step_handshake(struct client_conn *conn)
{
	const char *why = NULL;
	int r = conn->transport->ops->handshake(conn->transport, &why);

	if (r == -EAGAIN) {
		if (conn->transport->wants_write)
			event_add(&conn->writable, NULL);
		return;
	}
	if (!r)
		r = conn_session_new(conn);
	if (r < 0) {
		conn_fail(conn, r, why ? why : strerror(-r));
		return;
	}
	conn->state = CONN_SETTINGS;
	conn_step_write(conn);
}

static void conn_step_timer(struct client_conn *conn)
{
	if (conn->state < CONN_READY) {
		conn_fail(conn, -ETIMEDOUT,
			  conn->state == CONN_SETTINGS
				  ? "the backend accepts connections but does "
				    "not answer"
				  : "connecting to the backend takes too long");
		return;
	}
	if (conn->pinged && !conn->heard) {
		conn_fail(conn, -ETIMEDOUT,
			  "the backend does not answer PING any more");
		return;
	}
	conn->pinged = !conn->heard;
	conn->heard = false;
	if (conn->pinged) {
		nghttp2_submit_ping(conn->session, NGHTTP2_FLAG_NONE, NULL);
		conn_step_write(conn);
	}
	if (conn->state != CONN_CLOSED)
		conn_set_timer(conn, conn->config.idle_ping_ms);
}

static void conn_turn(struct client_conn *conn,
		      void (*step)(struct client_conn *conn))
{
	conn->busy = true;
	step(conn);
	conn->busy = false;
	conn->ops->on_turn_end(conn->ctx);
}

static void conn_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct client_conn *conn = arg;

	conn_turn(conn, conn->state == CONN_HANDSHAKE ? conn_step_handshake
						      : conn_step_read);
}

/* TLS may have to write before it can read on. */
static void conn_step_writable(struct client_conn *conn)
{
	if (conn->transport->wants_write) {
		conn->transport->wants_write = false;
		conn_step_read(conn);
	}
	if (conn->state != CONN_CLOSED)
		conn_step_write(conn);
}

static void conn_on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct client_conn *conn = arg;

	conn_turn(conn, conn->state == CONN_HANDSHAKE ? conn_step_handshake
						      : conn_step_writable);
}

static void conn_on_flush(evutil_socket_t fd, short what, void *arg)
{
	struct client_conn *conn = arg;

	if (!event_pending(&conn->writable, EV_WRITE, NULL))
		conn_turn(conn, conn_step_write);
}

static void conn_on_timer(evutil_socket_t fd, short what, void *arg)
{
	conn_turn(arg, conn_step_timer);
}

static int conn_open_transport(struct client_conn *conn, int fd)
{
	const struct endpoint *to = conn->config.endpoint;

	if (to->kind == ENDPOINT_TLS)
		return transport_tls->transport_new(&conn->transport,
						    conn->config.tls_context,
						    fd, to->host);
	return transport_plain_new(&conn->transport, fd);
}

static void conn_on_dialled(void *ctx, int fd, const char *why)
{
	struct client_conn *conn = ctx;
	int r = fd;

	conn->busy = true;
	if (fd >= 0) {
		r = conn_open_transport(conn, fd);
		why = "out of memory";
	}
	if (r < 0) {
		conn_fail(conn, r, why);
	} else {
		event_assign(&conn->readable, conn->base, fd,
			     EV_READ | EV_PERSIST, conn_on_readable, conn);
		event_assign(&conn->writable, conn->base, fd, EV_WRITE,
			     conn_on_writable, conn);
		event_add(&conn->readable, NULL);
		conn->state = CONN_HANDSHAKE;
		conn_step_handshake(conn);
	}
	conn->busy = false;
	conn->ops->on_turn_end(conn->ctx);
}

/* --- life ---------------------------------------------------------------- */

int client_conn_new(struct client_conn **out, struct event_base *base,
		    const struct client_conn_config *config,
		    const struct client_conn_ops *ops, void *ctx)
{
	struct client_conn *conn = calloc(1, sizeof(*conn));
	int r;

	if (!conn)
		return -ENOMEM;
	conn->base = base;
	conn->config = *config;
	conn->ops = ops;
	conn->ctx = ctx;
	TAILQ_INIT(&conn->streams);
	event_assign(&conn->readable, base, -1, 0, conn_on_readable, conn);
	event_assign(&conn->writable, base, -1, 0, conn_on_writable, conn);
	event_assign(&conn->flush, base, -1, 0, conn_on_flush, conn);
	event_assign(&conn->timer, base, -1, 0, conn_on_timer, conn);
	r = dial_start(&conn->dial, base, config->endpoint, conn_on_dialled,
		       conn);
	if (r < 0) {
		client_conn_free(conn);
		return r;
	}
	conn_set_timer(conn, config->connect_timeout_ms);
	*out = conn;
	return 0;
}

void client_conn_free(struct client_conn *conn)
{
	struct client_stream *s;

	if (!conn)
		return;
	event_del(&conn->readable);
	event_del(&conn->writable);
	event_del(&conn->flush);
	event_del(&conn->timer);
	while ((s = TAILQ_FIRST(&conn->streams))) {
		TAILQ_REMOVE(&conn->streams, s, link);
		s->conn = NULL;
	}
	dial_free(conn->dial);
	nghttp2_session_del(conn->session);
	if (conn->transport)
		conn->transport->ops->free(conn->transport);
	buf_deinit_secret(&conn->out);
	free(conn);
}

bool client_conn_busy(const struct client_conn *conn)
{
	return conn->busy;
}

bool client_conn_is_ready(const struct client_conn *conn)
{
	return conn->state == CONN_READY;
}

bool client_conn_is_closed(const struct client_conn *conn)
{
	return conn->state == CONN_CLOSED;
}

struct client_conn **client_conn_next(struct client_conn *conn)
{
	return &conn->next;
}

bool client_conn_has_room(const struct client_conn *conn)
{
	return conn->state == CONN_READY &&
	       conn->n_streams <
		       nghttp2_session_get_remote_settings(
			       conn->session,
			       NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

void client_conn_settle(struct client_conn *conn)
{
	if (conn->state >= CONN_READY && conn->state < CONN_CLOSED &&
	    !conn->busy)
		conn_serialise(conn, SIZE_MAX);
}
