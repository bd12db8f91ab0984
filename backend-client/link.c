#include "backend-client/client_state.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"

#define CLIENT_STABLE_MS 1000 /* a connection that lived so long was good */

/* --- the connection ------------------------------------------------------ */

static void client_tell_state(struct backend_client *c, int on, const char *why)
{
	if (c->on_state && !c->dead)
		c->on_state(on, why, c->on_state_ctx);
}

void client_retire(struct backend_client *c)
{
	*client_conn_next(c->conn) = c->retiring;
	c->retiring = c->conn;
	c->conn = NULL;
}

/* The current connection takes no more calls: when to make the next. */
static void client_conn_gone(struct backend_client *c, const char *why)
{
	uint64_t now = clock_mono_ms();

	snprintf(c->why, sizeof(c->why), "%s", why);
	client_retire(c);
	if (c->ready_ms && now - c->ready_ms >= CLIENT_STABLE_MS)
		c->connect_failures = 0;
	c->connect_at_ms = now;
	if (c->connect_failures)
		c->connect_at_ms += retry_delay_ms(&c->backoff,
						   c->connect_failures,
						   arc4random());
	c->connect_failures++;
	endpoint_list_next(&c->endpoints);
	if (c->ready_ms)
		client_tell_state(c, 0, why);
	c->ready_ms = 0;
	client_schedule_turn(c);
}

static void client_on_ready(void *ctx, struct client_conn *conn)
{
	struct backend_client *c = ctx;

	c->ready_ms = clock_mono_ms();
	if (c->breaker.state == BACKEND_HALF_OPEN)
		breaker_success(&c->breaker);
	client_tell_state(c, 1, "connected");
}

static void client_on_going(void *ctx, struct client_conn *conn)
{
	client_conn_gone(ctx, "the backend is going away");
}

static void client_on_lost(void *ctx, struct client_conn *conn, int error,
			   const char *why)
{
	struct backend_client *c = ctx;
	bool was_up = c->ready_ms;

	if (conn != c->conn)
		return; /* it was retiring */
	if (!was_up) {
		breaker_failure(&c->breaker, clock_mono_ms());
		client_fail_impatient(c, BACKEND_E_UNREACHABLE, why);
	}
	client_conn_gone(c, why);
}

static const struct client_conn_ops client_conn_ops;

void client_connect(struct backend_client *c)
{
	uint64_t now;
	int r;

	if (c->conn)
		return;
	now = clock_mono_ms();
	if (now < c->connect_at_ms) {
		client_watch(c, c->connect_at_ms, now);
		return;
	}
	if (!breaker_admit(&c->breaker, now)) {
		client_watch(c, breaker_wait_until(&c->breaker, now), now);
		return;
	}
	c->conn_config.endpoint = endpoint_list_get(&c->endpoints);
	r = client_conn_new(&c->conn, c->base, &c->conn_config,
			    &client_conn_ops, c);
	if (!r)
		return;
	c->conn = NULL;
	breaker_failure(&c->breaker, now);
	c->connect_failures++;
	c->connect_at_ms = now + c->backoff.max_ms;
	client_watch(c, c->connect_at_ms, now);
	client_fail_impatient(c, BACKEND_E_UNREACHABLE, strerror(-r));
}

void client_free_retired(struct backend_client *c)
{
	struct client_conn **at = &c->retiring, *conn;

	while ((conn = *at)) {
		if (client_conn_is_closed(conn) && !client_conn_busy(conn)) {
			*at = *client_conn_next(conn);
			client_conn_free(conn);
		} else {
			at = client_conn_next(conn);
		}
	}
}

/* --- replies ------------------------------------------------------------- */

static struct backend_call *stream_call(struct client_stream *s)
{
	return (struct backend_call *)s;
}

static void call_refuse_reply(struct backend_call *call,
			      enum backend_error error, const char *detail)
{
	client_conn_reset(&call->stream);
	call_end(call, error, detail);
}

static void client_on_header(struct client_stream *s, nghttp2_rcbuf *name,
			     nghttp2_rcbuf *value)
{
	struct backend_call *call = stream_call(s);
	int r = call_add_reply_header(call, name, value);

	if (r == -E2BIG)
		call_refuse_reply(call, BACKEND_E_PROTOCOL,
				  "the reply has too many headers");
	else if (r < 0)
		call_refuse_reply(call, BACKEND_E_MEMORY, NULL);
}

static const char *call_reply_header(const struct backend_call *call,
				     const char *name)
{
	struct backend_response r;

	call_response(call, &r);
	r.headers = call->reply_headers;
	r.n_headers = call->n_reply_headers;
	return backend_response_header(&r, name);
}

/* True if the reply is one to ask again for, and there is time to. */
static bool call_retry_status(struct backend_call *call)
{
	uint64_t after;

	if (call->retry != BACKEND_RETRY_SAFE || !retry_status(call->status))
		return false;
	after = retry_after_ms(call_reply_header(call, "retry-after"));
	return call_retry(call, RETRY_STATUS, after, clock_mono_ms());
}

static void call_backend_answered(struct backend_call *call)
{
	breaker_success(&call->client->breaker);
	call->trial = false;
	call->client->connect_failures = 0;
}

static void client_on_headers_end(struct client_stream *s)
{
	struct backend_call *call = stream_call(s);
	struct backend_response r;

	if (call->headers_done)
		return; /* trailers */
	if (call->status / 100 == 1) {
		call_clear_reply(call);
		return;
	}
	call->headers_done = true;
	if (!call->ops.on_data)
		return;
	call_backend_answered(call);
	if (call_retry_status(call)) {
		client_conn_reset(s);
		return;
	}
	call->wake_ms = call->deadline_ms;
	call->streamed = true;
	call_response(call, &r);
	if (call->ops.on_headers && !call->client->dead)
		call->ops.on_headers(call, &r, call->ctx);
}

static void client_on_data(struct client_stream *s, const uint8_t *data,
			   size_t len)
{
	struct backend_call *call = stream_call(s);

	if (call->client->dead)
		return;
	if (call->ops.on_data) {
		call->ops.on_data(call, data, len, call->ctx);
		return;
	}
	if (call->reply.len + len > call->client->response_bytes)
		call_refuse_reply(call, BACKEND_E_TOO_LARGE, NULL);
	else if (buf_append(&call->reply, data, len) < 0)
		call_refuse_reply(call, BACKEND_E_MEMORY, NULL);
}

static void client_on_stream_end(struct client_stream *s,
				 enum client_stream_end end, const char *why)
{
	struct backend_call *call = stream_call(s);

	switch (end) {
	case CLIENT_STREAM_COMPLETE:
		call_backend_answered(call);
		if (!call_retry_status(call))
			call_end(call, BACKEND_OK, NULL);
		return;
	case CLIENT_STREAM_UNSENT:
		call_attempt_failed(call, RETRY_UNSENT, BACKEND_E_BROKEN, why);
		return;
	case CLIENT_STREAM_BROKEN:
		call_attempt_failed(call, RETRY_BROKEN, BACKEND_E_BROKEN, why);
		return;
	}
}

static void client_on_turn_end(void *ctx)
{
	client_turn(ctx);
}

static const struct client_conn_ops client_conn_ops = {
	.on_ready = client_on_ready,
	.on_going = client_on_going,
	.on_lost = client_on_lost,
	.on_header = client_on_header,
	.on_headers_end = client_on_headers_end,
	.on_data = client_on_data,
	.on_stream_end = client_on_stream_end,
	.on_turn_end = client_on_turn_end,
};
