#include "common/http/exchange.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/http/account.h"
#include "common/http/conn.h"
#include "common/http/problem.h"
#include "common/http/server_state.h"

#define SMALL_REPLY_BYTES 1024 /* always find their place */

struct http_exchange *exchange_new(struct http_conn *conn, size_t n_headers,
				   size_t extra_bytes)
{
	struct http_exchange *ex;

	ex = malloc(sizeof(*ex) + n_headers * sizeof(ex->headers[0]) +
		    extra_bytes);
	if (!ex)
		return NULL;
	*ex = (struct http_exchange){
		.conn = conn,
		.reply_left = -1,
		.progress_ms = server_now(conn->server),
		.body_max_bytes = conn->server->limits.body_bytes,
		.backlog_bytes = conn->server->limits.write_backlog_bytes,
		.req = { .method = HTTP_OTHER,
			 .path = "/",
			 .query = "",
			 .content_length = -1,
			 .peer = &conn->peer },
	};
	conn->server->stats.exchanges_open++;
	return ex;
}

void exchange_free(struct http_exchange *ex)
{
	ex->conn->server->stats.exchanges_open--;
	buf_deinit(&ex->body);
	buf_deinit(&ex->out);
	h2_head_deinit(&ex->head);
	free(ex);
}

void exchange_dispatch(struct http_exchange *ex)
{
	struct http_server *s = ex->conn->server;

	s->stats.requests_total++;
	ex->no_body = ex->req.method == HTTP_HEAD;
	s->handler(ex, s->ctx);
}

void exchange_answer_asterisk(struct http_exchange *ex)
{
	static const struct http_header allow = {
		"Allow", "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS"
	};

	http_respond(ex, 204, &allow, 1, NULL, 0);
}

/* Nobody wants the rest of the request's body. */
static void exchange_stop_body(struct http_exchange *ex)
{
	ex->body_mode = EXCHANGE_BODY_DISCARD;
	ex->paused = false;
}

/* The handler never hears of the exchange again. */
static void exchange_take_away(struct http_exchange *ex)
{
	void (*on_close)(struct http_exchange *, void *) = ex->on_close;

	ex->on_close = NULL;
	ex->on_drain = NULL;
	exchange_stop_body(ex);
	if (on_close)
		on_close(ex, ex->data);
}

void exchange_lost(struct http_exchange *ex)
{
	if (ex->reply == EXCHANGE_REPLY_ENDED)
		return;
	ex->reply = EXCHANGE_REPLY_ENDED;
	exchange_take_away(ex);
}

void exchange_fail(struct http_exchange *ex, int status, const char *code,
		   const char *why)
{
	if (ex->reply == EXCHANGE_REPLY_ENDED)
		return;
	exchange_take_away(ex);
	if (ex->reply == EXCHANGE_REPLY_NONE)
		http_problem(ex, status, code, NULL, "%s", why);
	else
		http_respond_abort(ex);
}

/* --- the request's body ------------------------------------------------- */

bool exchange_wants_body(const struct http_exchange *ex)
{
	return ex->body_mode != EXCHANGE_BODY_UNDECIDED && !ex->paused;
}

static int exchange_count(struct http_exchange *ex, size_t len)
{
	ex->progress_ms = server_now(ex->conn->server);
	ex->body_bytes += len;
	if (ex->body_mode == EXCHANGE_BODY_DISCARD)
		return 0;
	return ex->body_bytes > ex->body_max_bytes ? -EFBIG : 0;
}

static void exchange_collected(struct http_exchange *ex, const uint8_t *body,
			       size_t len)
{
	ex->body_delivered = true;
	ex->on_body(ex, body, len, ex->data);
	/* Most replies come from in there; what was collected can go. */
	buf_deinit(&ex->body);
}

static void exchange_stream_end(struct http_exchange *ex)
{
	if (!exchange_wants_body(ex) || ex->body_mode != EXCHANGE_BODY_STREAM ||
	    ex->body_delivered)
		return;
	ex->body_delivered = true;
	if (ex->on_end)
		ex->on_end(ex, ex->data);
}

int exchange_receive(struct http_exchange *ex, const uint8_t *piece, size_t len,
		     bool last)
{
	int r = exchange_count(ex, len);

	if (r < 0)
		return r;
	ex->body_ended = last;
	if (ex->body_mode == EXCHANGE_BODY_COLLECT) {
		if (last && !ex->body.len) {
			exchange_collected(ex, piece, len);
			return 0;
		}
		r = buf_append(&ex->body, piece, len);
		if (r < 0)
			return r;
		if (last)
			exchange_collected(ex, ex->body.data, ex->body.len);
	} else if (ex->body_mode == EXCHANGE_BODY_STREAM) {
		if (len)
			ex->on_data(ex, piece, len, ex->data);
		if (last)
			exchange_stream_end(ex);
	}
	return 0;
}

int exchange_hold(struct http_exchange *ex, const uint8_t *piece, size_t len)
{
	int r = exchange_count(ex, len);

	if (!r)
		r = buf_append(&ex->body, piece, len);
	if (!r)
		ex->held += len;
	return r;
}

size_t exchange_release(struct http_exchange *ex)
{
	size_t n = ex->held;
	struct buf held;

	if (!exchange_wants_body(ex) || ex->body_delivered)
		return 0;
	ex->held = 0;
	if (ex->body_mode == EXCHANGE_BODY_COLLECT) {
		if (ex->body_ended)
			exchange_collected(ex, ex->body.data, ex->body.len);
		return n;
	}
	held = ex->body;
	ex->body = (struct buf){ 0 };
	if (held.len && ex->body_mode == EXCHANGE_BODY_STREAM)
		ex->on_data(ex, held.data, held.len, ex->data);
	buf_deinit(&held);
	if (ex->body_ended)
		exchange_stream_end(ex);
	return n;
}

void http_exchange_collect(struct http_exchange *ex, uint64_t max_bytes,
			   void (*done)(struct http_exchange *ex,
					const uint8_t *body, size_t len,
					void *data))
{
	ex->body_mode = EXCHANGE_BODY_COLLECT;
	ex->on_body = done;
	ex->progress_ms = server_now(ex->conn->server);
	ex->body_max_bytes = MIN(ex->body_max_bytes, max_bytes);
	if (ex->req.has_body)
		ex->conn->protocol->want_body(ex);
	else
		exchange_collected(ex, (const uint8_t *)"", 0);
}

void http_exchange_stream(struct http_exchange *ex,
			  void (*on_data)(struct http_exchange *ex,
					  const uint8_t *piece, size_t len,
					  void *data),
			  void (*on_end)(struct http_exchange *ex, void *data))
{
	ex->body_mode = EXCHANGE_BODY_STREAM;
	ex->on_data = on_data;
	ex->on_end = on_end;
	ex->progress_ms = server_now(ex->conn->server);
	if (ex->req.has_body)
		ex->conn->protocol->want_body(ex);
	else
		exchange_stream_end(ex);
}

void http_exchange_set_endless(struct http_exchange *ex)
{
	ex->endless = true;
	ex->body_max_bytes = UINT64_MAX;
	if (ex->conn->protocol == &H1_PROTOCOL)
		ex->conn->h1.patient = true;
	conn_mark(ex->conn);
}

void http_exchange_pause(struct http_exchange *ex)
{
	ex->paused = true;
}

void http_exchange_resume(struct http_exchange *ex)
{
	ex->paused = false;
	ex->progress_ms = server_now(ex->conn->server);
	ex->conn->protocol->want_body(ex);
}

/* --- the reply ---------------------------------------------------------- */

static bool status_has_body(int status)
{
	return status != 204 && status != 304;
}

/* The peer may be slow to take its reply: what it asked is not kept so long. */
static void exchange_forget_request(struct http_exchange *ex)
{
	h2_head_deinit(&ex->head);
	ex->req.headers = NULL;
	ex->req.n_headers = 0;
	ex->req.path = "/";
	ex->req.query = "";
}

/* Peers that ask for more than they take must not fill the memory. */
static bool exchange_fits(const struct http_exchange *ex, size_t len)
{
	const struct http_server *s = ex->conn->server;

	return ex->no_body || len <= SMALL_REPLY_BYTES ||
	       (s->stats.reply_bytes + len <= s->limits.reply_bytes &&
		account_fits(ex->conn->account, len));
}

static void exchange_respond(struct http_exchange *ex, int status,
			     const struct http_header *headers,
			     size_t n_headers, const void *body, size_t len)
{
	struct http_conn *c = ex->conn;

	ex->reply = EXCHANGE_REPLY_ENDED;
	exchange_stop_body(ex);
	ex->no_body = ex->no_body || !status_has_body(status);
	c->protocol->respond(ex, status, headers, n_headers, body, len);
	exchange_forget_request(ex);
	conn_count(c);
}

void http_respond(struct http_exchange *ex, int status,
		  const struct http_header *headers, size_t n_headers,
		  const void *body, size_t len)
{
	static const struct http_header retry_after = { "Retry-After", "1" };

	assert(ex->reply == EXCHANGE_REPLY_NONE);
	if (exchange_fits(ex, len))
		exchange_respond(ex, status, headers, n_headers, body, len);
	else
		http_problem_with(
			ex, 503, "too_many_replies", &retry_after, 1,
			"replies that nobody has read yet take up all the "
			"memory there is for them; read them first");
}

void http_exchange_set_backlog(struct http_exchange *ex, size_t bytes)
{
	const struct http_limits *l = &ex->conn->server->limits;

	ex->backlog_bytes = MIN(bytes, (size_t)l->write_backlog_bytes);
}

void http_respond_start(struct http_exchange *ex, int status,
			const struct http_header *headers, size_t n_headers)
{
	assert(ex->reply == EXCHANGE_REPLY_NONE);
	ex->reply = EXCHANGE_REPLY_STARTED;
	ex->no_body = ex->no_body || !status_has_body(status);
	ex->conn->protocol->start(ex, status, headers, n_headers);
}

bool http_respond_write(struct http_exchange *ex, const void *data, size_t len)
{
	bool room;

	assert(ex->reply == EXCHANGE_REPLY_STARTED);
	if (ex->no_body || !len)
		return true;
	if (ex->reply_left >= 0) {
		assert((uint64_t)ex->reply_left >= len);
		ex->reply_left -= (int64_t)len;
	}
	room = ex->conn->protocol->write(ex, data, len);
	if (!room)
		ex->was_full = true;
	return room;
}

uint64_t http_respond_stalled_ms(const struct http_exchange *ex)
{
	const struct http_conn *c = ex->conn;
	uint64_t now = server_now(c->server), since = now;

	if (ex->out.len)
		since = ex->progress_ms;
	if (c->out.len && c->writing)
		since = MIN(since, c->written_ms);
	return now - since;
}

bool http_respond_flushed(struct http_exchange *ex)
{
	const struct http_conn *c = ex->conn;
	size_t waiting = c->protocol == &H1_PROTOCOL ? c->out.len : ex->out.len;

	assert(ex->reply == EXCHANGE_REPLY_STARTED);
	if (!waiting)
		return true;
	ex->backlog_bytes = 1;
	ex->was_full = true;
	return false;
}

void http_respond_end(struct http_exchange *ex)
{
	assert(ex->reply == EXCHANGE_REPLY_STARTED);
	if (ex->reply_left > 0 && !ex->no_body) {
		http_respond_abort(ex);
		return;
	}
	ex->reply = EXCHANGE_REPLY_ENDED;
	exchange_stop_body(ex);
	ex->conn->protocol->end(ex);
	exchange_forget_request(ex);
}

void http_respond_abort(struct http_exchange *ex)
{
	assert(ex->reply != EXCHANGE_REPLY_ENDED);
	ex->reply = EXCHANGE_REPLY_ENDED;
	exchange_stop_body(ex);
	ex->conn->protocol->abort(ex);
}

/* --- accessors ---------------------------------------------------------- */

const struct http_request *http_exchange_request(const struct http_exchange *ex)
{
	return &ex->req;
}

void http_exchange_set_data(struct http_exchange *ex, void *data)
{
	ex->data = data;
}

void *http_exchange_data(const struct http_exchange *ex)
{
	return ex->data;
}

struct event_base *http_exchange_base(const struct http_exchange *ex)
{
	return ex->conn->server->base;
}

void http_exchange_on_close(struct http_exchange *ex,
			    void (*fn)(struct http_exchange *ex, void *data))
{
	ex->on_close = fn;
}

void http_exchange_on_drain(struct http_exchange *ex,
			    void (*fn)(struct http_exchange *ex, void *data))
{
	ex->on_drain = fn;
}

const char *http_request_header(const struct http_request *req,
				const char *name)
{
	size_t i;

	for (i = 0; i < req->n_headers; i++)
		if (strcmp(req->headers[i].name, name) == 0)
			return req->headers[i].value;
	return NULL;
}
