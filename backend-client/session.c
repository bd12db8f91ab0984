#include "backend-client/connection.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend-client/connection_state.h"

#define CONN_PEER_STREAMS_DEFAULT 100 /* until its SETTINGS say */

void conn_close_stream(struct client_conn *conn, struct client_stream *s,
		       enum client_stream_end end, const char *why)
{
	TAILQ_REMOVE(&conn->streams, s, link);
	s->conn = NULL;
	conn->ops->on_stream_end(s, end, why);
}

static struct client_stream *conn_stream(nghttp2_session *session, int32_t id)
{
	return nghttp2_session_get_stream_user_data(session, id);
}

static int conn_on_header(nghttp2_session *session, const nghttp2_frame *frame,
			  nghttp2_rcbuf *name, nghttp2_rcbuf *value,
			  uint8_t flags, void *arg)
{
	struct client_conn *conn = arg;
	struct client_stream *s = conn_stream(session, frame->hd.stream_id);

	if (s)
		conn->ops->on_header(s, name, value);
	return 0;
}

static int conn_on_data(nghttp2_session *session, uint8_t flags, int32_t id,
			const uint8_t *data, size_t len, void *arg)
{
	struct client_conn *conn = arg;
	struct client_stream *s = conn_stream(session, id);

	nghttp2_session_consume_connection(session, len);
	if (!s)
		return 0;
	s->withheld += len;
	conn->ops->on_data(s, data, len);
	if (s->conn && !s->paused) {
		nghttp2_session_consume_stream(session, id, s->withheld);
		s->withheld = 0;
	}
	return 0;
}

static void conn_on_settings(struct client_conn *conn)
{
	if (conn->state != CONN_SETTINGS)
		return;
	conn->state = CONN_READY;
	conn_set_timer(conn, conn->config.idle_ping_ms);
	conn->ops->on_ready(conn->ctx, conn);
}

static void conn_on_goaway(struct client_conn *conn)
{
	if (conn->state != CONN_READY)
		return;
	conn->state = CONN_GOING;
	conn->ops->on_going(conn->ctx, conn);
}

static int conn_on_frame(nghttp2_session *session, const nghttp2_frame *frame,
			 void *arg)
{
	struct client_conn *conn = arg;
	struct client_stream *s;

	switch (frame->hd.type) {
	case NGHTTP2_SETTINGS:
		if (!(frame->hd.flags & NGHTTP2_FLAG_ACK))
			conn_on_settings(conn);
		return 0;
	case NGHTTP2_GOAWAY:
		conn_on_goaway(conn);
		return 0;
	case NGHTTP2_HEADERS:
	case NGHTTP2_DATA:
		s = conn_stream(session, frame->hd.stream_id);
		if (!s)
			return 0;
		if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
			s->ended = true;
		if (frame->hd.type == NGHTTP2_HEADERS)
			conn->ops->on_headers_end(s);
		return 0;
	default:
		return 0;
	}
}

/* Remembers where in the bytes sent a request begins. */
static int conn_before_send(nghttp2_session *session,
			    const nghttp2_frame *frame, void *arg)
{
	struct client_conn *conn = arg;
	struct client_stream *s;

	if (frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	s = conn_stream(session, frame->hd.stream_id);
	if (s)
		s->starts_at = conn->serialised;
	return 0;
}

static int conn_on_stream_close(nghttp2_session *session, int32_t id,
				uint32_t code, void *arg)
{
	struct client_conn *conn = arg;
	struct client_stream *s = conn_stream(session, id);
	char why[96];

	conn->n_streams--;
	if (!s)
		return 0;
	nghttp2_session_set_stream_user_data(session, id, NULL);
	if (s->ended && code == NGHTTP2_NO_ERROR) {
		conn_close_stream(conn, s, CLIENT_STREAM_COMPLETE, NULL);
		return 0;
	}
	snprintf(why, sizeof(why), "the backend reset the stream: %s",
		 nghttp2_http2_strerror(code));
	conn_close_stream(conn, s,
			  code == NGHTTP2_REFUSED_STREAM ? CLIENT_STREAM_UNSENT
							 : CLIENT_STREAM_BROKEN,
			  why);
	return 0;
}

static ssize_t conn_read_body(nghttp2_session *session, int32_t id,
			      uint8_t *data, size_t n, uint32_t *flags,
			      nghttp2_data_source *source, void *arg)
{
	struct client_stream *s = conn_stream(session, id);

	if (!s)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	n = MIN(n, s->body_len);
	memcpy(data, s->body, n);
	s->body += n;
	s->body_len -= n;
	if (!s->body_len)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

static int conn_session_callbacks(nghttp2_session_callbacks **out)
{
	nghttp2_session_callbacks *cb;

	if (nghttp2_session_callbacks_new(&cb))
		return -ENOMEM;
	nghttp2_session_callbacks_set_on_header_callback2(cb, conn_on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb,
								  conn_on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, conn_on_frame);
	nghttp2_session_callbacks_set_before_frame_send_callback(
		cb, conn_before_send);
	nghttp2_session_callbacks_set_on_stream_close_callback(
		cb, conn_on_stream_close);
	*out = cb;
	return 0;
}

int conn_session_new(struct client_conn *conn)
{
	static const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
		  CLIENT_STREAM_WINDOW_BYTES },
	};
	nghttp2_session_callbacks *cb;
	nghttp2_option *option;
	int r;

	if (conn_session_callbacks(&cb) < 0)
		return -ENOMEM;
	if (nghttp2_option_new(&option)) {
		nghttp2_session_callbacks_del(cb);
		return -ENOMEM;
	}
	nghttp2_option_set_no_auto_window_update(option, 1);
	nghttp2_option_set_peer_max_concurrent_streams(
		option, CONN_PEER_STREAMS_DEFAULT);
	nghttp2_option_set_no_closed_streams(option, 1);
	r = nghttp2_session_client_new2(&conn->session, cb, conn, option);
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(cb);
	if (r)
		return -ENOMEM;
	if (nghttp2_submit_settings(conn->session, NGHTTP2_FLAG_NONE, settings,
				    ARRAY_SIZE(settings)) ||
	    nghttp2_session_set_local_window_size(conn->session,
						  NGHTTP2_FLAG_NONE, 0,
						  CLIENT_CONN_WINDOW_BYTES))
		return -ENOMEM;
	return 0;
}

/* --- streams ------------------------------------------------------------- */

int client_conn_submit(struct client_conn *conn, struct client_stream *s,
		       const nghttp2_nv *nva, size_t n, const void *body,
		       size_t body_len)
{
	nghttp2_data_provider provider = { .read_callback = conn_read_body };

	*s = (struct client_stream){
		.conn = conn,
		.starts_at = UINT64_MAX,
		.body = body,
		.body_len = body_len,
		.paused = s->paused,
	};
	s->id = nghttp2_submit_request(conn->session, NULL, nva, n,
				       body_len ? &provider : NULL, s);
	if (s->id < 0) {
		s->conn = NULL;
		return s->id == NGHTTP2_ERR_NOMEM ? -ENOMEM : -ECONNRESET;
	}
	TAILQ_INSERT_TAIL(&conn->streams, s, link);
	conn->n_streams++;
	conn_schedule_flush(conn);
	return 0;
}

void client_conn_reset(struct client_stream *s)
{
	struct client_conn *conn = s->conn;

	if (!conn)
		return;
	TAILQ_REMOVE(&conn->streams, s, link);
	s->conn = NULL;
	nghttp2_session_set_stream_user_data(conn->session, s->id, NULL);
	nghttp2_submit_rst_stream(conn->session, NGHTTP2_FLAG_NONE, s->id,
				  NGHTTP2_CANCEL);
	conn_schedule_flush(conn);
}

void client_conn_pause(struct client_stream *s)
{
	s->paused = true;
}

void client_conn_resume(struct client_stream *s)
{
	s->paused = false;
	if (!s->conn || !s->withheld)
		return;
	nghttp2_session_consume_stream(s->conn->session, s->id, s->withheld);
	s->withheld = 0;
	conn_schedule_flush(s->conn);
}
