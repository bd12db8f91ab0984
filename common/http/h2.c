#include "common/http/h2.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <string.h>

#include "common/http/conn.h"
#include "common/http/exchange.h"
#include "common/http/h1_reply.h"
#include "common/http/problem.h"
#include "common/http/server_state.h"

#define H2_STREAM_WINDOW_BYTES (256 * 1024)
#define H2_CONNECTION_WINDOW_BYTES (1024 * 1024)
#define H2_WRITE_BYTES 65536 /* put together before each send */
#define H2_RATE_WINDOW_MS 10000
#define H2_REPLY_HEADERS_MAX 64
#define H2_CONTINUATIONS_MAX 16 /* of one header block */

struct rate {
	uint64_t since_ms;
	uint32_t n;
};

struct h2 {
	nghttp2_session *session;
	struct exchange_list exchanges;
	struct rate resets, control;
	uint64_t head_ms; /* when the open header block began; 0: none is */
	uint32_t continuations;
	bool draining;
	bool drains; /* some exchange's on_drain may be due */
};

/* --- limits -------------------------------------------------------------------- */

/* Counts one; true when it is one too many. */
static bool rate_exceeded(struct rate *r, uint64_t now_ms, uint32_t limit)
{
	if (now_ms - r->since_ms > H2_RATE_WINDOW_MS) {
		r->since_ms = now_ms;
		r->n = 0;
	}
	return ++r->n > limit;
}

static void h2_calm(struct http_conn *c)
{
	c->server->stats.refused_total++;
	nghttp2_session_terminate_session(c->h2->session,
					  NGHTTP2_ENHANCE_YOUR_CALM);
	conn_mark(c);
}

static void h2_count_control(struct http_conn *c)
{
	if (rate_exceeded(&c->h2->control, c->server->now_ms,
			  c->server->limits.control_frames_per_10s))
		h2_calm(c);
}

static void h2_count_reset(struct http_conn *c)
{
	if (rate_exceeded(&c->h2->resets, c->server->now_ms,
			  c->server->limits.resets_per_10s))
		h2_calm(c);
}

/* --- exchanges ------------------------------------------------------------------- */

static void h2_bury(struct http_exchange *ex)
{
	struct http_conn *c = ex->conn;

	TAILQ_REMOVE(&c->h2->exchanges, ex, link);
	TAILQ_INSERT_TAIL(&c->server->dead_exchanges, ex, link);
	c->active_ms = c->server->now_ms;
	conn_mark(c);
}

static struct http_exchange *h2_exchange(nghttp2_session *session,
					 int32_t stream_id)
{
	return nghttp2_session_get_stream_user_data(session, stream_id);
}

static void h2_reset(struct http_exchange *ex, uint32_t code)
{
	nghttp2_submit_rst_stream(ex->conn->h2->session, NGHTTP2_FLAG_NONE,
				  ex->stream_id, code);
	conn_mark(ex->conn);
}

/* --- replying --------------------------------------------------------------------- */

static nghttp2_nv h2_field(const char *name, const char *value)
{
	return (nghttp2_nv){ (uint8_t *)name, (uint8_t *)value, strlen(name),
			     strlen(value), NGHTTP2_NV_FLAG_NONE };
}

static ssize_t on_read_reply(nghttp2_session *session, int32_t stream_id,
			     uint8_t *data, size_t size, uint32_t *flags,
			     nghttp2_data_source *source, void *arg)
{
	struct http_exchange *ex = source->ptr;
	struct http_conn *c = ex->conn;
	size_t n = MIN(size, ex->out.len);

	if (n) {
		memcpy(data, ex->out.data, n);
		buf_consume(&ex->out, n);
		ex->progress_ms = c->server->now_ms;
		c->h2->drains |= ex->was_full;
	}
	if (!ex->out.len) {
		buf_deinit(&ex->out);
		if (ex->reply == EXCHANGE_REPLY_ENDED)
			*flags |= NGHTTP2_DATA_FLAG_EOF;
	}
	ex->deferred = !n && !(*flags & NGHTTP2_DATA_FLAG_EOF);
	return ex->deferred ? NGHTTP2_ERR_DEFERRED : (ssize_t)n;
}

/* length: Content-Length to add, -1 for none; with_data: a body follows. */
static void h2_submit(struct http_exchange *ex, int status,
		      const struct http_header *headers, size_t n_headers,
		      int64_t length, bool with_data)
{
	nghttp2_data_provider provider = { .source.ptr = ex,
					   .read_callback = on_read_reply };
	struct http_conn *c = ex->conn;
	nghttp2_nv nv[H2_REPLY_HEADERS_MAX + 3];
	char status_text[12], length_text[24];
	size_t i, n = 0;

	snprintf(status_text, sizeof(status_text), "%d", status);
	nv[n++] = h2_field(":status", status_text);
	nv[n++] = h2_field("date", server_date(c->server));
	if (length >= 0) {
		snprintf(length_text, sizeof(length_text), "%lld",
			 (long long)length);
		nv[n++] = h2_field("content-length", length_text);
	}
	for (i = 0; i < MIN(n_headers, (size_t)H2_REPLY_HEADERS_MAX); i++)
		if (reply_header_sendable(&headers[i]) &&
		    !reply_is_content_length(&headers[i]))
			nv[n++] = h2_field(headers[i].name, headers[i].value);
	ex->progress_ms = c->server->now_ms;
	if (nghttp2_submit_response(c->h2->session, ex->stream_id, nv, n,
				    with_data ? &provider : NULL) != 0)
		conn_close(c, "out of memory");
	conn_mark(c);
}

static void h2_respond(struct http_exchange *ex, int status,
		       const struct http_header *headers, size_t n_headers,
		       const void *body, size_t len)
{
	bool with_data = len && !ex->no_body;
	int64_t length = (int64_t)len;

	if (ex->no_body && ex->req.method != HTTP_HEAD)
		length = -1;
	ex->body_mode = EXCHANGE_BODY_DISCARD;
	ex->paused = false;
	if (with_data && buf_append(&ex->out, body, len) < 0)
		h2_reset(ex, NGHTTP2_INTERNAL_ERROR);
	else
		h2_submit(ex, status, headers, n_headers, length, with_data);
}

static void h2_respond_start(struct http_exchange *ex, int status,
			     const struct http_header *headers,
			     size_t n_headers)
{
	ex->reply_left = reply_content_length(headers, n_headers);
	h2_submit(ex, status, headers, n_headers, ex->reply_left, !ex->no_body);
}

static void h2_resume_reply(struct http_exchange *ex)
{
	if (ex->deferred) {
		ex->deferred = false;
		ex->progress_ms = ex->conn->server->now_ms;
		nghttp2_session_resume_data(ex->conn->h2->session,
					    ex->stream_id);
	}
	conn_mark(ex->conn);
}

static bool h2_write(struct http_exchange *ex, const void *data, size_t len)
{
	if (buf_append(&ex->out, data, len) < 0)
		h2_reset(ex, NGHTTP2_INTERNAL_ERROR);
	h2_resume_reply(ex);
	return ex->out.len < ex->conn->server->limits.write_backlog_bytes;
}

static void h2_end(struct http_exchange *ex)
{
	ex->body_mode = EXCHANGE_BODY_DISCARD;
	ex->paused = false;
	h2_resume_reply(ex);
}

static void h2_abort(struct http_exchange *ex)
{
	h2_reset(ex, NGHTTP2_INTERNAL_ERROR);
}

static void h2_want_body(struct http_exchange *ex)
{
	conn_kick(ex->conn);
}

/* --- reading a head ------------------------------------------------------------------ */

static int on_begin_headers(nghttp2_session *session,
			    const nghttp2_frame *frame, void *arg)
{
	struct http_conn *c = arg;
	struct http_exchange *ex;

	c->h2->head_ms = c->server->now_ms;
	c->h2->continuations = 0;
	if (frame->hd.type != NGHTTP2_HEADERS ||
	    frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	ex = exchange_new(c, 0, 0);
	if (!ex)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	ex->stream_id = frame->hd.stream_id;
	TAILQ_INSERT_TAIL(&c->h2->exchanges, ex, link);
	nghttp2_session_set_stream_user_data(session, ex->stream_id, ex);
	return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame,
		     const uint8_t *name, size_t name_len, const uint8_t *value,
		     size_t value_len, uint8_t flags, void *arg)
{
	struct http_exchange *ex = h2_exchange(session, frame->hd.stream_id);
	struct http_conn *c = arg;
	int r;

	if (!ex || ex->head.complete)
		return 0; /* trailers mean nothing here */
	r = h2_head_add(&ex->head, &c->server->limits, name, name_len, value,
			value_len);
	if (r < 0 || r == H2_HEAD_E_FLOOD)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	return 0;
}

/* What nghttp2 would drop in silence is refused. */
static int on_invalid_header(nghttp2_session *session,
			     const nghttp2_frame *frame, const uint8_t *name,
			     size_t name_len, const uint8_t *value,
			     size_t value_len, uint8_t flags, void *arg)
{
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd,
			  void *arg)
{
	struct http_conn *c = arg;

	if (hd->type == NGHTTP2_CONTINUATION &&
	    ++c->h2->continuations > H2_CONTINUATIONS_MAX)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	return 0;
}

static void h2_refuse(struct http_exchange *ex, int status, const char *why)
{
	ex->conn->server->stats.refused_total++;
	exchange_fail(ex, status,
		      status == 413   ? "body_too_large"
		      : status == 431 ? "headers_too_large"
		      : status == 408 ? "timeout"
				      : "bad_request",
		      why);
}

static void h2_begin(struct http_exchange *ex, bool end)
{
	const struct http_limits *l = &ex->conn->server->limits;
	const char *why = "";
	int r;

	ex->head.complete = true;
	r = h2_head_read(&ex->head, l, &ex->req, &ex->expect_continue, &why);
	ex->req.has_body = !end && ex->req.content_length != 0;
	ex->body_ended = end;
	ex->no_body = ex->req.method == HTTP_HEAD;
	if (r < 0)
		h2_reset(ex, NGHTTP2_INTERNAL_ERROR);
	else if (r)
		h2_refuse(ex, r, why);
	else if (ex->req.content_length > (int64_t)l->body_bytes)
		h2_refuse(ex, 413, "the body is larger than the limit");
	else if (ex->req.path[0] == '*')
		http_respond(ex, 204, NULL, 0, NULL, 0);
	else
		exchange_dispatch(ex);
}

/* --- reading a body ------------------------------------------------------------------ */

static void h2_consume(struct http_exchange *ex, size_t n)
{
	if (n)
		nghttp2_session_consume_stream(ex->conn->h2->session,
					       ex->stream_id, n);
}

static void h2_body_failed(struct http_exchange *ex, int error)
{
	if (error == -EFBIG)
		h2_refuse(ex, 413, "the body is larger than the limit");
	else
		h2_reset(ex, NGHTTP2_INTERNAL_ERROR);
}

/* The connection's window is given back at once, so that one body that nobody
 * reads does not hold up the others; the stream's when it was handed on. */
static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id,
		   const uint8_t *data, size_t len, void *arg)
{
	struct http_exchange *ex = h2_exchange(session, stream_id);
	int r;

	nghttp2_session_consume_connection(session, len);
	if (!ex)
		return 0;
	ex->expect_continue = false;
	if (exchange_wants_body(ex)) {
		h2_consume(ex, exchange_release(ex) + len);
		r = exchange_receive(ex, data, len, false);
	} else {
		r = exchange_hold(ex, data, len);
	}
	if (r < 0)
		h2_body_failed(ex, r);
	return 0;
}

static void h2_body_end(struct http_exchange *ex)
{
	int r;

	if (ex->body_ended)
		return;
	ex->body_ended = true;
	if (!exchange_wants_body(ex))
		return;
	h2_consume(ex, exchange_release(ex));
	if (ex->body_delivered)
		return;
	r = exchange_receive(ex, NULL, 0, true);
	if (r < 0)
		h2_body_failed(ex, r);
}

static void h2_send_continue(struct http_exchange *ex)
{
	const nghttp2_nv nv = h2_field(":status", "100");

	ex->expect_continue = false;
	if (ex->reply == EXCHANGE_REPLY_NONE && !ex->body_ended)
		nghttp2_submit_headers(ex->conn->h2->session, NGHTTP2_FLAG_NONE,
				       ex->stream_id, NULL, &nv, 1, NULL);
}

static void h2_wake_exchange(struct http_exchange *ex)
{
	if (!ex->head.complete || !exchange_wants_body(ex))
		return;
	if (ex->req.content_length > 0 &&
	    (uint64_t)ex->req.content_length > ex->body_max_bytes &&
	    ex->body_mode != EXCHANGE_BODY_DISCARD) {
		h2_refuse(ex, 413, "the body is larger than the limit");
		return;
	}
	if (ex->expect_continue)
		h2_send_continue(ex);
	h2_consume(ex, exchange_release(ex));
}

static void h2_wake(struct http_conn *c)
{
	struct http_exchange *ex;

	TAILQ_FOREACH(ex, &c->h2->exchanges, link) {
		h2_wake_exchange(ex);
		if (c->state != CONN_OPEN)
			return;
	}
}

/* --- frames --------------------------------------------------------------------------- */

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame,
		    void *arg)
{
	struct http_exchange *ex = NULL;
	struct http_conn *c = arg;
	bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

	if (frame->hd.stream_id)
		ex = h2_exchange(session, frame->hd.stream_id);
	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		c->h2->head_ms = 0;
		if (ex && !ex->head.complete)
			h2_begin(ex, end);
		else if (ex && end)
			h2_body_end(ex);
		break;
	case NGHTTP2_DATA:
		if (ex && end)
			h2_body_end(ex);
		else if (!frame->hd.length)
			h2_count_control(c);
		break;
	case NGHTTP2_RST_STREAM:
		h2_count_reset(c);
		break;
	case NGHTTP2_WINDOW_UPDATE:
		break;
	default:
		h2_count_control(c);
	}
	return 0;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame,
			 void *arg)
{
	struct http_conn *c = arg;
	int32_t id = frame->hd.stream_id;

	if (frame->hd.type == NGHTTP2_RST_STREAM) {
		/* What the peer makes us reset counts like its own resets. */
		if (frame->rst_stream.error_code != NGHTTP2_NO_ERROR &&
		    frame->rst_stream.error_code != NGHTTP2_INTERNAL_ERROR)
			h2_count_reset(c);
		return 0;
	}
	if ((frame->hd.type != NGHTTP2_HEADERS &&
	     frame->hd.type != NGHTTP2_DATA) ||
	    !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	/* The reply is complete; the rest of the request is not needed. */
	if (nghttp2_session_get_stream_remote_close(session, id) == 0)
		nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id,
					  NGHTTP2_NO_ERROR);
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id,
			   uint32_t error_code, void *arg)
{
	struct http_exchange *ex = h2_exchange(session, stream_id);

	if (!ex)
		return 0;
	nghttp2_session_set_stream_user_data(session, stream_id, NULL);
	exchange_lost(ex);
	h2_bury(ex);
	return 0;
}

/* --- the session ------------------------------------------------------------------------ */

static int h2_callbacks(nghttp2_session_callbacks **out)
{
	nghttp2_session_callbacks *cb;

	if (nghttp2_session_callbacks_new(&cb) != 0)
		return -ENOMEM;
	nghttp2_session_callbacks_set_on_begin_headers_callback(
		cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_invalid_header_callback(
		cb, on_invalid_header);
	nghttp2_session_callbacks_set_on_begin_frame_callback(cb,
							      on_begin_frame);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_sent);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb,
							       on_stream_close);
	*out = cb;
	return 0;
}

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
	int r = h2_callbacks(&callbacks);

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

/* --- the connection's side ----------------------------------------------------------------- */

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
	size_t low = c->server->limits.write_backlog_bytes / 2;
	struct http_exchange *ex;

	if (!c->h2->drains)
		return;
	c->h2->drains = false;
	TAILQ_FOREACH(ex, &c->h2->exchanges, link) {
		if (!ex->was_full || ex->out.len > low ||
		    ex->reply != EXCHANGE_REPLY_STARTED)
			continue;
		ex->was_full = false;
		if (ex->on_drain)
			ex->on_drain(ex, ex->data);
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

	if (ex->out.len)
		return ex->progress_ms + l->write_idle_timeout_ms;
	if (ex->head.complete && !ex->body_ended && exchange_wants_body(ex))
		return ex->progress_ms + l->body_idle_timeout_ms;
	return CONN_NEVER_MS;
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
			h2_refuse(ex, 408, "the request's body took too long");
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
		h2_bury(ex);
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
	.deadline = h2_deadline,
	.timeout = h2_timeout,
	.closed = h2_closed,
	.respond = h2_respond,
	.start = h2_respond_start,
	.write = h2_write,
	.end = h2_end,
	.abort = h2_abort,
	.want_body = h2_want_body,
};
