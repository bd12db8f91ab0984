#include "common/http/h2.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>

#include "common/http/conn.h"
#include "common/http/exchange.h"
#include "common/http/h2_reply.h"
#include "common/http/h2_requests.h"
#include "common/http/h2_session.h"
#include "common/http/server_state.h"

#define H2_STREAM_WINDOW_BYTES (256 * 1024)
#define H2_CONNECTION_WINDOW_BYTES (1024 * 1024)
#define H2_WRITE_BYTES 65536 /* put together before each send */

/* --- the session -------------------------------------------------------- */

static int h2_settings(struct http_conn *c)
{
	const struct http_limits *l = &c->server->limits;
	const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
		  l->concurrent_streams },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, l->header_bytes },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
		  H2_STREAM_WINDOW_BYTES },
	};
	nghttp2_session *session = c->h2->session;

	if (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings,
				    ARRAY_SIZE(settings)) != 0 ||
	    nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0,
						  H2_CONNECTION_WINDOW_BYTES) !=
		    0)
		return -ENOMEM;
	return 0;
}

static int h2_session(struct http_conn *c)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	int r = h2_requests_callbacks(&callbacks);

	if (r < 0)
		return r;
	if (nghttp2_option_new(&option) != 0) {
		nghttp2_session_callbacks_del(callbacks);
		return -ENOMEM;
	}
	nghttp2_option_set_no_auto_window_update(option, 1);
	nghttp2_option_set_no_closed_streams(option, 1);
	nghttp2_option_set_max_send_header_block_length(
		option, c->server->limits.header_bytes * 2);
	r = nghttp2_session_server_new2(&c->h2->session, callbacks, c, option);
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
	return r ? -ENOMEM : 0;
}

int h2_start(struct http_conn *c)
{
	int r;

	c->h2 = calloc(1, sizeof(*c->h2));
	if (!c->h2)
		return -ENOMEM;
	TAILQ_INIT(&c->h2->exchanges);
	r = h2_session(c);
	return r < 0 ? r : h2_settings(c);
}

void h2_stop(struct http_conn *c)
{
	nghttp2_session_del(c->h2->session);
	free(c->h2);
	c->h2 = NULL;
}

/* --- the connection's side ---------------------------------------------- */

static size_t h2_input(struct http_conn *c, const uint8_t *data, size_t len)
{
	ssize_t n = nghttp2_session_mem_recv(c->h2->session, data, len);

	conn_mark(c);
	if (n < 0) {
		c->server->stats.refused_total++;
		conn_close(c, nghttp2_strerror((int)n));
	}
	return len;
}

static void h2_output(struct http_conn *c)
{
	nghttp2_session *session = c->h2->session;
	const uint8_t *data;
	ssize_t n = 0;

	while (c->out.len < H2_WRITE_BYTES) {
		n = nghttp2_session_mem_send(session, &data);
		if (n <= 0)
			break;
		if (buf_append(&c->out, data, (size_t)n) < 0)
			n = -1;
	}
	if (n < 0)
		conn_close(c, "out of memory");
	else if (c->state == CONN_OPEN && !nghttp2_session_want_read(session) &&
		 !nghttp2_session_want_write(session))
		conn_finish(c, true, "the HTTP/2 session has ended");
	else if (c->h2->draining && TAILQ_EMPTY(&c->h2->exchanges) &&
		 !nghttp2_session_want_write(session))
		conn_finish(c, true, "draining");
}

static void h2_written(struct http_conn *c)
{
	struct http_exchange *ex;

	if (!c->h2->drains)
		return;
	c->h2->drains = false;
	TAILQ_FOREACH(ex, &c->h2->exchanges, link) {
		if (!ex->was_full || ex->out.len > ex->backlog_bytes / 2 ||
		    ex->reply != EXCHANGE_REPLY_STARTED)
			continue;
		ex->was_full = false;
		if (ex->on_drain)
			ex->on_drain(ex, ex->data);
		if (c->state != CONN_OPEN)
			return;
	}
}

static void h2_want_body(struct http_exchange *ex)
{
	conn_kick(ex->conn);
}

static void h2_wake(struct http_conn *c)
{
	struct http_exchange *ex;

	TAILQ_FOREACH(ex, &c->h2->exchanges, link) {
		h2_request_wake(ex);
		if (c->state != CONN_OPEN)
			return;
	}
}

static bool h2_busy(const struct http_conn *c)
{
	return !TAILQ_EMPTY(&c->h2->exchanges);
}

static bool h2_eof(struct http_conn *c)
{
	return false;
}

static void h2_drain(struct http_conn *c)
{
	nghttp2_session *session = c->h2->session;

	c->h2->draining = true;
	nghttp2_submit_goaway(session, NGHTTP2_FLAG_NONE,
			      nghttp2_session_get_last_proc_stream_id(session),
			      NGHTTP2_NO_ERROR, NULL, 0);
	conn_mark(c);
}

static uint64_t h2_exchange_deadline(const struct http_exchange *ex)
{
	const struct http_limits *l = &ex->conn->server->limits;

	if (ex->endless && (ex->out.len || ex->reply != EXCHANGE_REPLY_ENDED))
		return CONN_NEVER_MS;
	if (ex->out.len)
		return ex->progress_ms + l->write_idle_timeout_ms;
	if (ex->head.complete && !ex->body_ended && exchange_wants_body(ex))
		return ex->progress_ms + l->body_idle_timeout_ms;
	return CONN_NEVER_MS;
}

static bool h2_patient(const struct http_conn *c)
{
	const struct http_exchange *ex;

	TAILQ_FOREACH(ex, &c->h2->exchanges, link)
		if (ex->endless)
			return true;
	return false;
}

static uint64_t h2_deadline(const struct http_conn *c)
{
	const struct http_limits *l = &c->server->limits;
	uint64_t at = CONN_NEVER_MS;
	struct http_exchange *ex;

	if (c->h2->head_ms)
		at = c->h2->head_ms + l->header_timeout_ms;
	else if (TAILQ_EMPTY(&c->h2->exchanges))
		return c->active_ms + l->idle_timeout_ms;
	TAILQ_FOREACH(ex, &c->h2->exchanges, link)
		at = MIN(at, h2_exchange_deadline(ex));
	return at;
}

static void h2_timeout(struct http_conn *c)
{
	const struct http_limits *l = &c->server->limits;
	uint64_t now_ms = c->server->now_ms;
	struct http_exchange *ex;

	if (TAILQ_EMPTY(&c->h2->exchanges) ||
	    (c->h2->head_ms &&
	     c->h2->head_ms + l->header_timeout_ms <= now_ms)) {
		nghttp2_session_terminate_session(c->h2->session,
						  NGHTTP2_NO_ERROR);
		return;
	}
	TAILQ_FOREACH(ex, &c->h2->exchanges, link) {
		if (h2_exchange_deadline(ex) > now_ms)
			continue;
		if (ex->out.len) {
			exchange_lost(ex);
			h2_reset(ex, NGHTTP2_CANCEL);
		} else if (ex->reply == EXCHANGE_REPLY_ENDED) {
			h2_reset(ex, NGHTTP2_NO_ERROR);
		} else {
			h2_request_refuse(ex, 408,
					  "the request's body took too long");
		}
		ex->progress_ms = now_ms;
		if (c->state != CONN_OPEN)
			return;
	}
}

static void h2_closed(struct http_conn *c)
{
	struct http_exchange *ex;

	while ((ex = TAILQ_FIRST(&c->h2->exchanges))) {
		nghttp2_session_set_stream_user_data(c->h2->session,
						     ex->stream_id, NULL);
		exchange_lost(ex);
		h2_request_bury(ex);
	}
}

const struct conn_protocol H2_PROTOCOL = {
	.input = h2_input,
	.wake = h2_wake,
	.output = h2_output,
	.written = h2_written,
	.busy = h2_busy,
	.eof = h2_eof,
	.drain = h2_drain,
	.patient = h2_patient,
	.deadline = h2_deadline,
	.timeout = h2_timeout,
	.closed = h2_closed,
	.respond = h2_respond,
	.start = h2_start_reply,
	.write = h2_write,
	.end = h2_end,
	.abort = h2_abort,
	.want_body = h2_want_body,
};
