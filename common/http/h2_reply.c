#include "common/http/h2_reply.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <string.h>

#include "common/http/conn.h"
#include "common/http/exchange.h"
#include "common/http/h2_session.h"
#include "common/http/reply.h"
#include "common/http/server_state.h"

#define H2_REPLY_HEADERS_MAX 64

void h2_reset(struct http_exchange *ex, uint32_t code)
{
	nghttp2_submit_rst_stream(ex->conn->h2->session, NGHTTP2_FLAG_NONE,
				  ex->stream_id, code);
	conn_mark(ex->conn);
}

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
		c->h2->reply_bytes -= n;
		ex->progress_ms = server_now(c->server);
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
	ex->progress_ms = server_now(c->server);
	if (nghttp2_submit_response(c->h2->session, ex->stream_id, nv, n,
				    with_data ? &provider : NULL) != 0)
		conn_close(c, "out of memory");
	conn_mark(c);
}

static int h2_keep(struct http_exchange *ex, const void *data, size_t len)
{
	int r = buf_append(&ex->out, data, len);

	if (!r)
		ex->conn->h2->reply_bytes += len;
	return r;
}

void h2_respond(struct http_exchange *ex, int status,
		const struct http_header *headers, size_t n_headers,
		const void *body, size_t len)
{
	bool with_data = len && !ex->no_body;
	int64_t length = (int64_t)len;

	if (ex->no_body && ex->req.method != HTTP_HEAD)
		length = -1;
	if (with_data && h2_keep(ex, body, len) < 0)
		h2_reset(ex, NGHTTP2_INTERNAL_ERROR);
	else
		h2_submit(ex, status, headers, n_headers, length, with_data);
}

void h2_start_reply(struct http_exchange *ex, int status,
		    const struct http_header *headers, size_t n_headers)
{
	ex->reply_left = reply_content_length(headers, n_headers);
	h2_submit(ex, status, headers, n_headers, ex->reply_left, !ex->no_body);
}

static void h2_resume_reply(struct http_exchange *ex)
{
	if (ex->deferred) {
		ex->deferred = false;
		ex->progress_ms = server_now(ex->conn->server);
		nghttp2_session_resume_data(ex->conn->h2->session,
					    ex->stream_id);
	}
	conn_mark(ex->conn);
}

bool h2_write(struct http_exchange *ex, const void *data, size_t len)
{
	if (h2_keep(ex, data, len) < 0)
		h2_reset(ex, NGHTTP2_INTERNAL_ERROR);
	h2_resume_reply(ex);
	return ex->out.len < ex->backlog_bytes;
}

void h2_end(struct http_exchange *ex)
{
	h2_resume_reply(ex);
}

void h2_abort(struct http_exchange *ex)
{
	h2_reset(ex, NGHTTP2_INTERNAL_ERROR);
}

void h2_send_continue(struct http_exchange *ex)
{
	const nghttp2_nv nv = h2_field(":status", "100");

	ex->expect_continue = false;
	if (ex->reply == EXCHANGE_REPLY_NONE && !ex->body_ended)
		nghttp2_submit_headers(ex->conn->h2->session, NGHTTP2_FLAG_NONE,
				       ex->stream_id, NULL, &nv, 1, NULL);
}
