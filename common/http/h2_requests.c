#include "common/http/h2_requests.h"

#include <errno.h>

#include "common/http/conn.h"
#include "common/http/h2_reply.h"
#include "common/http/h2_session.h"
#include "common/http/server_state.h"

#define H2_RATE_WINDOW_MS 10000
#define H2_CONTINUATIONS_MAX 16 /* of one header block */

/* --- limits ------------------------------------------------------------- */

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

/* --- exchanges ---------------------------------------------------------- */

void h2_request_bury(struct http_exchange *ex)
{
	struct http_conn *c = ex->conn;

	TAILQ_REMOVE(&c->h2->exchanges, ex, link);
	c->h2->reply_bytes -= ex->out.len;
	TAILQ_INSERT_TAIL(&c->server->dead_exchanges, ex, link);
	c->active_ms = server_now(c->server);
	conn_mark(c);
}

static struct http_exchange *h2_exchange(nghttp2_session *session,
					 int32_t stream_id)
{
	return nghttp2_session_get_stream_user_data(session, stream_id);
}

/* --- reading a head ----------------------------------------------------- */

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

void h2_request_refuse(struct http_exchange *ex, int status, const char *why)
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
		h2_request_refuse(ex, r, why);
	else if (ex->req.path[0] == '*')
		exchange_answer_asterisk(ex);
	else
		exchange_dispatch(ex);
}

/* --- reading a body ----------------------------------------------------- */

static void h2_consume(struct http_exchange *ex, size_t n)
{
	if (n)
		nghttp2_session_consume_stream(ex->conn->h2->session,
					       ex->stream_id, n);
}

static void h2_body_failed(struct http_exchange *ex, int error)
{
	if (error == -EFBIG)
		h2_request_refuse(ex, 413, "the body is larger than the limit");
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

void h2_request_wake(struct http_exchange *ex)
{
	if (!ex->head.complete || !exchange_wants_body(ex))
		return;
	if (ex->req.content_length > 0 &&
	    (uint64_t)ex->req.content_length > ex->body_max_bytes &&
	    ex->body_mode != EXCHANGE_BODY_DISCARD) {
		h2_request_refuse(ex, 413, "the body is larger than the limit");
		return;
	}
	if (ex->expect_continue)
		h2_send_continue(ex);
	h2_consume(ex, exchange_release(ex));
}

/* --- frames ------------------------------------------------------------- */

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
	h2_request_bury(ex);
	return 0;
}

/* --- all of them -------------------------------------------------------- */

int h2_requests_callbacks(nghttp2_session_callbacks **out)
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
