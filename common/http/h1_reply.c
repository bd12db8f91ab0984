#include "common/http/h1_reply.h"

#include "common/http/conn.h"
#include "common/http/exchange.h"
#include "common/http/reply.h"
#include "common/http/server_state.h"

/* --- the end of an exchange --------------------------------------------- */

void h1_bury(struct http_conn *c)
{
	TAILQ_INSERT_TAIL(&c->server->dead_exchanges, c->h1.ex, link);
	c->h1.ex = NULL;
	server_schedule(c->server);
}

void h1_next(struct http_conn *c)
{
	struct h1 *h1 = &c->h1;
	bool unread = h1->state != H1_REPLY || c->in.len;

	h1_bury(c);
	c->active_ms = server_now(c->server);
	if (!h1->keep_alive) {
		conn_finish(c, unread, "the last reply was sent");
		return;
	}
	h1->state = H1_HEAD;
	h1->scan = (struct head_scan){ 0 };
	if (c->in.len && !c->in_input)
		conn_kick(c);
	if (c->server->draining)
		conn_finish(c, true, "draining");
}

static void h1_replied(struct http_exchange *ex)
{
	struct http_conn *c = ex->conn;
	struct h1 *h1 = &c->h1;

	conn_mark(c);
	if (c->state != CONN_OPEN)
		return;
	if (h1->state == H1_BODY && h1->keep_alive) {
		conn_kick(c);
		return;
	}
	h1_next(c);
}

/* --- replying ----------------------------------------------------------- */

/* A body that nobody reads to its end costs the connection. */
static bool h1_body_in_the_way(const struct http_conn *c)
{
	const struct h1 *h1 = &c->h1;

	if (h1->state != H1_BODY)
		return false;
	return h1->is_chunked || h1->ex->expect_continue ||
	       h1->body_left > H1_DISCARD_MAX_BYTES;
}

static void h1_render(struct http_exchange *ex, struct reply *r)
{
	struct http_conn *c = ex->conn;
	struct h1 *h1 = &c->h1;

	if (c->server->draining)
		h1->keep_alive = false;
	r->close = !h1->keep_alive;
	r->keep_alive = h1->keep_alive && h1->http_1_0;
	r->date = server_date(c->server);
	r->date_len = c->server->date_len;
	if (reply_render(&c->out, r) < 0)
		conn_close(c, "out of memory");
}

void h1_respond(struct http_exchange *ex, int status,
		const struct http_header *headers, size_t n_headers,
		const void *body, size_t len)
{
	struct reply r = {
		.status = status,
		.headers = headers,
		.n_headers = n_headers,
		.length = (int64_t)len,
		.body = body,
		.body_len = ex->no_body ? 0 : len,
	};

	if (ex->no_body && ex->req.method != HTTP_HEAD)
		r.length = -1;
	if (h1_body_in_the_way(ex->conn))
		ex->conn->h1.keep_alive = false;
	h1_render(ex, &r);
	h1_replied(ex);
}

void h1_start(struct http_exchange *ex, int status,
	      const struct http_header *headers, size_t n_headers)
{
	struct h1 *h1 = &ex->conn->h1;
	struct reply r = {
		.status = status,
		.headers = headers,
		.n_headers = n_headers,
	};

	ex->reply_left = reply_content_length(headers, n_headers);
	r.length = ex->reply_left;
	if (ex->no_body && ex->req.method != HTTP_HEAD)
		r.length = -1;
	ex->chunked = !ex->no_body && r.length < 0 && !h1->http_1_0;
	r.chunked = ex->chunked;
	if (!ex->no_body && r.length < 0 && h1->http_1_0)
		h1->keep_alive = false;
	h1_render(ex, &r);
	conn_mark(ex->conn);
}

bool h1_write(struct http_exchange *ex, const void *data, size_t len)
{
	struct http_conn *c = ex->conn;
	int r;

	if (ex->chunked)
		r = reply_chunk(&c->out, data, len);
	else
		r = buf_append(&c->out, data, len);
	if (r < 0)
		conn_close(c, "out of memory");
	conn_mark(c);
	return c->out.len < ex->backlog_bytes;
}

void h1_end(struct http_exchange *ex)
{
	struct http_conn *c = ex->conn;

	if (ex->chunked && buf_append_str(&c->out, "0\r\n\r\n") < 0)
		conn_close(c, "out of memory");
	if (h1_body_in_the_way(c))
		c->h1.keep_alive = false;
	h1_replied(ex);
}

void h1_abort(struct http_exchange *ex)
{
	conn_close(ex->conn, "the reply was broken off");
}
