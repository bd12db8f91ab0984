#include "common/http/h1.h"

#include <errno.h>
#include <string.h>

#include "common/http/conn.h"
#include "common/http/exchange.h"
#include "common/http/h1_reply.h"
#include "common/http/server_state.h"

/* --- refusing ----------------------------------------------------------- */

static const char *h1_code(int status)
{
	switch (status) {
	case 408:
		return "timeout";
	case 413:
		return "body_too_large";
	case 417:
		return "expectation_failed";
	case 431:
		return "headers_too_large";
	case 501:
		return "method_not_implemented";
	case 505:
		return "version_not_supported";
	default:
		return "bad_request";
	}
}

/* Answers what no handler sees, or sees no more, and ends the connection. */
static void h1_refuse(struct http_conn *c, int status, const char *why)
{
	struct h1 *h1 = &c->h1;

	h1->keep_alive = false;
	c->server->stats.refused_total++;
	if (!h1->ex)
		h1->ex = exchange_new(c, 0, 0);
	if (!h1->ex)
		conn_close(c, "out of memory");
	else if (h1->ex->reply == EXCHANGE_REPLY_ENDED)
		conn_close(c, "the request went wrong after its reply");
	else
		exchange_fail(h1->ex, status, h1_code(status), why);
}

/* --- reading ------------------------------------------------------------ */

static void h1_take_head(struct http_conn *c, struct http_exchange *ex,
			 const struct head *head)
{
	struct h1 *h1 = &c->h1;

	ex->req.method = head->method;
	ex->req.path = head->path;
	ex->req.query = head->query;
	ex->req.headers = ex->headers;
	ex->req.n_headers = head->n_headers;
	ex->req.content_length = head->content_length;
	ex->req.has_body = head->chunked || head->content_length > 0;
	ex->expect_continue = head->expect_continue && ex->req.has_body;
	h1->is_chunked = head->chunked;
	h1->chunked = (struct chunked){ 0 };
	h1->body_left = (uint64_t)MAX(head->content_length, 0);
	h1->discarded_bytes = 0;
	h1->http_1_0 = head->http_1_0;
	h1->patient = false;
	h1->keep_alive = !head->close && (!head->http_1_0 || head->keep_alive);
	h1->state = ex->req.has_body ? H1_BODY : H1_REPLY;
	ex->body_ended = !ex->req.has_body;
}

/* A complete head of len bytes: makes the exchange, shows it to the handler. */
static void h1_begin(struct http_conn *c, const uint8_t *data, size_t len)
{
	struct head_scan *scan = &c->h1.scan;
	const char *why = NULL;
	struct http_exchange *ex;
	struct head head;
	char *text;
	int status;

	if (scan->lines - 1 > c->server->limits.header_count) {
		h1_refuse(c, 431, "there are too many headers");
		return;
	}
	len -= scan->start;
	ex = exchange_new(c, scan->lines - 1, len + 1);
	if (!ex) {
		conn_close(c, "out of memory");
		return;
	}
	c->h1.ex = ex;
	head.headers = ex->headers;
	head.n_headers = scan->lines - 1;
	text = (char *)&ex->headers[scan->lines - 1];
	memcpy(text, data + scan->start, len);
	status = head_parse(&head, text, len, &why);
	if (status) {
		h1_refuse(c, status, why);
		return;
	}
	h1_take_head(c, ex, &head);
	if (head.asterisk)
		exchange_answer_asterisk(ex);
	else
		exchange_dispatch(ex);
}

static size_t h1_read_head(struct http_conn *c, const uint8_t *data, size_t len)
{
	struct h1 *h1 = &c->h1;
	const char *why = NULL;
	ssize_t n;

	if (!len)
		return 0;
	if (!h1->scan.pos)
		h1->head_ms = c->server->now_ms;
	n = head_scan(&h1->scan, data, len, c->server->limits.header_bytes,
		      &why);
	if (n > 0)
		h1_begin(c, data, (size_t)n);
	else if (n < 0)
		h1_refuse(c, (int)-n, why);
	return n > 0 ? (size_t)n : 0;
}

/* Hands one piece on. False when it was refused. */
static bool h1_receive(struct http_conn *c, const uint8_t *piece, size_t n,
		       bool last)
{
	struct h1 *h1 = &c->h1;
	struct http_exchange *ex = h1->ex;
	int r;

	if (ex->body_mode == EXCHANGE_BODY_DISCARD) {
		h1->discarded_bytes += n;
		if (h1->discarded_bytes > H1_DISCARD_MAX_BYTES) {
			conn_close(c, "too much of a body to throw away");
			return false;
		}
	}
	if (last)
		h1->state = H1_REPLY;
	r = exchange_receive(ex, piece, n, last);
	if (r == -EFBIG)
		h1_refuse(c, 413, "the body is larger than the limit");
	else if (r < 0)
		conn_close(c, "out of memory");
	else if (last && h1->ex == ex && ex->reply == EXCHANGE_REPLY_ENDED)
		h1_next(c);
	return r == 0;
}

static size_t h1_read_chunks(struct http_conn *c, const uint8_t *data,
			     size_t len)
{
	struct h1 *h1 = &c->h1;
	const uint8_t *piece = data;
	bool last;
	ssize_t used;
	size_t n;

	used = chunked_read(&h1->chunked, data, len, &piece, &n);
	if (used < 0) {
		h1_refuse(c, 400, "the chunked body is malformed");
		return 0;
	}
	last = h1->chunked.state == CHUNKED_DONE;
	if (n || last)
		h1_receive(c, piece, n, last);
	return (size_t)used;
}

static void h1_continue(struct http_conn *c)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

	c->h1.ex->expect_continue = false;
	if (c->h1.ex->reply != EXCHANGE_REPLY_NONE)
		return;
	if (buf_append(&c->out, text, sizeof(text) - 1) < 0)
		conn_close(c, "out of memory");
	conn_mark(c);
}

static size_t h1_read_body(struct http_conn *c, const uint8_t *data, size_t len)
{
	struct h1 *h1 = &c->h1;
	struct http_exchange *ex = h1->ex;
	size_t n;

	if (!exchange_wants_body(ex))
		return 0;
	if (ex->body_mode != EXCHANGE_BODY_DISCARD &&
	    ex->req.content_length > 0 &&
	    (uint64_t)ex->req.content_length > ex->body_max_bytes) {
		h1_refuse(c, 413, "the body is larger than the limit");
		return 0;
	}
	if (ex->expect_continue && !len)
		h1_continue(c);
	if (!len)
		return 0;
	ex->expect_continue = false;
	if (h1->is_chunked)
		return h1_read_chunks(c, data, len);
	n = (size_t)MIN((uint64_t)len, h1->body_left);
	h1->body_left -= n;
	h1_receive(c, data, n, !h1->body_left);
	return n;
}

static size_t h1_input(struct http_conn *c, const uint8_t *data, size_t len)
{
	struct h1 *h1 = &c->h1;
	uint32_t budget = c->server->limits.pipelined;
	size_t used = 0, n = 1;

	while (c->state == CONN_OPEN && n) {
		n = 0;
		if (h1->state == H1_HEAD) {
			h1->stalled = c->out.len >=
				      c->server->limits.write_backlog_bytes;
			if (h1->stalled)
				break;
			if (!budget--) {
				conn_kick(c);
				break;
			}
			n = h1_read_head(c, data, len);
		} else if (h1->state == H1_BODY) {
			n = h1_read_body(c, data, len);
		}
		if (n)
			data += n; /* data may be NULL: nothing was read */
		len -= n;
		used += n;
	}
	return used;
}

static void h1_want_body(struct http_exchange *ex)
{
	if (!ex->conn->in_input)
		conn_kick(ex->conn);
}

static void h1_wake(struct http_conn *c)
{
	if (c->h1.ex)
		exchange_release(c->h1.ex);
	if (c->state == CONN_OPEN)
		conn_input_held(c);
	if (c->eof && c->h1.state == H1_BODY && exchange_wants_body(c->h1.ex))
		conn_close(c, "closed by the peer within a body");
}

/* --- the connection's side ---------------------------------------------- */

static void h1_output(struct http_conn *c)
{
	/* Replies are rendered as they are given. */
}

static void h1_written(struct http_conn *c)
{
	struct http_exchange *ex = c->h1.ex;

	if (c->out.len > c->server->limits.write_backlog_bytes / 2)
		return;
	if (c->h1.stalled)
		conn_kick(c);
	if (!ex || !ex->was_full || ex->reply != EXCHANGE_REPLY_STARTED ||
	    c->out.len > ex->backlog_bytes / 2)
		return;
	ex->was_full = false;
	if (ex->on_drain)
		ex->on_drain(ex, ex->data);
}

static bool h1_busy(const struct http_conn *c)
{
	return c->h1.ex != NULL;
}

/* A peer may shut down its sending side and still read its reply, for which it
 * is given write_idle_timeout_ms: it looks the same as one that was killed.
 * One that does so during a streamed reply is taken to be gone. */
static bool h1_eof(struct http_conn *c)
{
	const struct http_exchange *ex = c->h1.ex;

	if (!ex)
		return c->out.len > 0;
	if (ex->reply == EXCHANGE_REPLY_ENDED) {
		conn_finish(c, false, "closed by the peer within a body");
		return true;
	}
	if (c->h1.state == H1_BODY && exchange_wants_body(ex))
		return false; /* there is no rest of it */
	return ex->reply == EXCHANGE_REPLY_NONE;
}

static void h1_drain(struct http_conn *c)
{
	if (c->h1.ex)
		return; /* h1_render() and h1_next() see to it */
	conn_finish(c, c->in.len > 0, "draining");
}

static bool h1_patient(const struct http_conn *c)
{
	return c->h1.patient;
}

static uint64_t h1_deadline(const struct http_conn *c)
{
	const struct http_limits *l = &c->server->limits;
	const struct h1 *h1 = &c->h1;

	if (h1->state == H1_HEAD && h1->scan.pos)
		return h1->head_ms + l->header_timeout_ms;
	if (h1->state == H1_HEAD)
		return c->active_ms + l->idle_timeout_ms;
	if (h1->state == H1_BODY && exchange_wants_body(h1->ex) &&
	    !h1->ex->endless)
		return h1->ex->progress_ms + l->body_idle_timeout_ms;
	return CONN_NEVER_MS;
}

static void h1_timeout(struct http_conn *c)
{
	if (c->h1.state == H1_HEAD && !c->h1.scan.pos)
		conn_finish(c, false, "idle for too long");
	else if (c->h1.state == H1_HEAD)
		h1_refuse(c, 408, "the request's head took too long");
	else
		h1_refuse(c, 408, "the request's body took too long");
}

static void h1_closed(struct http_conn *c)
{
	if (!c->h1.ex)
		return;
	exchange_lost(c->h1.ex);
	h1_bury(c);
}

const struct conn_protocol H1_PROTOCOL = {
	.input = h1_input,
	.wake = h1_wake,
	.output = h1_output,
	.written = h1_written,
	.busy = h1_busy,
	.eof = h1_eof,
	.drain = h1_drain,
	.patient = h1_patient,
	.deadline = h1_deadline,
	.timeout = h1_timeout,
	.closed = h1_closed,
	.respond = h1_respond,
	.start = h1_start,
	.write = h1_write,
	.end = h1_end,
	.abort = h1_abort,
	.want_body = h1_want_body,
};
