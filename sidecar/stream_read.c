#include "sidecar/stream_read.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backend-client/retry.h"
#include "common/buf.h"
#include "sidecar/execution.h"
#include "sidecar/forward.h"
#include "sidecar/handlers.h"
#include "sidecar/request.h"
#include "sidecar/stream_call.h"
#include "sidecar/stream_retry.h"

#define STREAM_READ_BACKLOG_BYTES (STREAM_READ_BYTES / 2)
#define STREAM_READ_ANSWER_MS 30000 /* until the head of a reply is there */
#define STREAM_PROBLEM_BYTES \
	(16 * 1024) /* of a reply that is none of records */
#define HEADER_FROM "x-cronium-stream-from"

enum stream_read_state {
	STREAM_READ_ASKING,
	STREAM_READ_READING,
	STREAM_READ_WAITING,
};

struct stream_read {
	LIST_ENTRY(stream_read) link;
	enum stream_read_state state;
	struct execution *execution;
	struct reply reply;
	struct backend_call *call;
	struct stream_retry retry;
	uint64_t next;      /* the record whose line is passed on now */
	uint64_t line_sent; /* bytes of it that were */
	uint64_t repeated;  /* bytes of it that this call is yet to repeat */
	bool started;       /* the reply was */
	bool full;          /* the script does not read */
	bool due;           /* ask once it does */
	struct buf problem; /* of a reply that has no records */
};

static UNUSED bool may_follow(enum stream_read_state from,
			      enum stream_read_state to)
{
	switch (from) {
	case STREAM_READ_ASKING:
		return to != STREAM_READ_ASKING;
	case STREAM_READ_READING:
		return to == STREAM_READ_WAITING;
	case STREAM_READ_WAITING:
		return to == STREAM_READ_ASKING;
	}
	return false;
}

static void set_state(struct stream_read *s, enum stream_read_state state)
{
	assert(may_follow(s->state, state));
	s->state = state;
}

static void stream_read_free(struct stream_read *s)
{
	LIST_REMOVE(s, link);
	s->execution->limits.stream_reads--;
	if (s->call)
		backend_call_cancel(s->call);
	stream_retry_deinit(&s->retry);
	buf_deinit(&s->problem);
	free(s);
}

/* --- the end -------------------------------------------------------------- */

/* It cannot go on: the script asks again, and is told why. */
static void break_off(struct stream_read *s)
{
	if (s->reply.ex && s->started)
		http_respond_abort(s->reply.ex);
	stream_read_free(s);
}

void stream_read_free_all(struct execution *x)
{
	struct stream_read *s;

	while ((s = LIST_FIRST(&x->stream_reads))) {
		if (!s->started)
			reply_draining(&s->reply);
		break_off(s);
	}
}

static void finish(struct stream_read *s)
{
	http_respond_end(s->reply.ex);
	stream_read_free(s);
}

static void wait_and_ask(struct stream_read *s,
			 const struct backend_response *failed)
{
	set_state(s, STREAM_READ_WAITING);
	if (stream_retry_again(&s->retry))
		return;
	if (!s->started)
		forward_reply_error(&s->reply, failed, false);
	break_off(s);
}

/* --- the backend's reply -------------------------------------------------- */

static void start_reply(struct stream_read *s, const char *from)
{
	const struct http_header headers[] = {
		{ "Content-Type", STREAM_CONTENT_TYPE },
		{ "X-Cronium-Stream-From", from },
		{ "Cache-Control", "no-store" },
	};

	s->started = true;
	reply_start(&s->reply, 200, headers, ARRAY_SIZE(headers));
}

static void on_headers(struct backend_call *call,
		       const struct backend_response *r, void *ctx)
{
	struct stream_read *s = ctx;
	const char *from = backend_response_header(r, HEADER_FROM);
	uint64_t number;

	if (r->status != 200)
		return; /* see on_done() */
	if (!from || !stream_number_parse(from, &number) || number != s->next) {
		s->call = NULL;
		backend_call_cancel(call);
		if (!s->started)
			reply_problem(&s->reply, 502, "backend_unavailable",
				      "the backend does not say from which "
				      "record on it answers; try again");
		break_off(s);
		return;
	}
	stream_retry_contact(&s->retry);
	set_state(s, STREAM_READ_READING);
	s->repeated = s->line_sent;
	if (!s->started)
		start_reply(s, from);
	if (http_exchange_request(s->reply.ex)->method == HTTP_HEAD)
		finish(s);
}

/* What the script has seen of the line before. False: this is another one. */
static bool pass_over(struct stream_read *s, const uint8_t **data, size_t *len)
{
	size_t n = (size_t)MIN(s->repeated, (uint64_t)*len);

	if (n && memchr(*data, '\n', n))
		return false;
	s->repeated -= n;
	*data += n;
	*len -= n;
	return true;
}

static void count_lines(struct stream_read *s, const uint8_t *data, size_t len)
{
	struct metrics_stream *m =
		&s->execution->metrics->streams[METRICS_STREAM_INPUT];
	const uint8_t *at = data, *end = data + len, *lf;

	m->bytes += len;
	while (at < end && (lf = memchr(at, '\n', (size_t)(end - at)))) {
		s->next++;
		m->records++;
		s->line_sent = 0;
		at = lf + 1;
	}
	s->line_sent += (uint64_t)(end - at);
}

static void on_data(struct backend_call *call, const uint8_t *data, size_t len,
		    void *ctx)
{
	struct stream_read *s = ctx;

	if (s->state != STREAM_READ_READING) {
		len = MIN(len, STREAM_PROBLEM_BYTES - s->problem.len);
		if (buf_append(&s->problem, data, len) < 0)
			buf_clear(&s->problem);
		return;
	}
	if (!pass_over(s, &data, &len)) {
		break_off(s);
		return;
	}
	if (!len)
		return;
	stream_retry_progress(&s->retry);
	count_lines(s, data, len);
	if (!http_respond_write(s->reply.ex, data, len)) {
		s->full = true;
		backend_call_pause(call);
	}
}

/* A reply without records: the script's, or asked for again. */
static void on_refused(struct stream_read *s, const struct backend_response *r)
{
	struct backend_response whole = *r;

	if (!s->started) {
		whole.body = s->problem.data;
		whole.body_len = s->problem.len;
		forward_reply(&s->reply, &whole, NULL);
		stream_read_free(s);
	} else if (retry_status(r->status)) {
		wait_and_ask(s, r);
	} else {
		break_off(s);
	}
}

static void on_done(struct backend_call *call, const struct backend_response *r,
		    void *ctx)
{
	struct stream_read *s = ctx;
	bool whole = s->state == STREAM_READ_READING && !s->line_sent;

	s->call = NULL;
	if (r->error == BACKEND_OK && s->state != STREAM_READ_READING)
		on_refused(s, r);
	else if (r->error == BACKEND_OK && whole)
		finish(s);
	else
		wait_and_ask(s, r);
}

/* --- asking --------------------------------------------------------------- */

static void ask(struct stream_read *s)
{
	static const struct backend_call_ops ops = {
		.on_headers = on_headers,
		.on_data = on_data,
		.on_done = on_done,
	};
	struct stream_headers headers;
	char path[STREAM_PATH_BYTES];
	struct backend_request req = {
		.method = "GET",
		.path = path,
		.attempt_timeout_ms = STREAM_READ_ANSWER_MS,
		.retry = BACKEND_RETRY_NEVER,
	};

	snprintf(path, sizeof(path), "/v1/runtime/input/stream?from=%" PRIu64,
		 s->next);
	stream_headers_fill(&headers, s->reply.trace, NULL, false);
	req.headers = headers.items;
	req.n_headers = headers.n;
	buf_clear(&s->problem);
	set_state(s, STREAM_READ_ASKING);
	if (backend_client_call(s->execution->backend, &req, &ops, s,
				&s->call) < 0) {
		const struct backend_response none = {
			.error = BACKEND_E_MEMORY,
		};

		wait_and_ask(s, &none);
	}
}

static void on_due(void *arg)
{
	struct stream_read *s = arg;

	/* A script that does not read is sent no more than it has to hold. */
	s->due = s->full;
	if (!s->due)
		ask(s);
}

static void on_drain(struct http_exchange *ex, void *data)
{
	struct stream_read *s = data;

	s->full = false;
	if (s->call)
		backend_call_resume(s->call);
	else if (s->due)
		on_due(s);
}

static void on_close(struct http_exchange *ex, void *data)
{
	struct stream_read *s = data;

	s->reply.ex = NULL;
	stream_read_free(s);
}

void handle_input_stream(struct request *req)
{
	struct execution *x = req->execution;
	struct stream_read *s;
	uint64_t from = 0;

	if (stream_query_from(req, &from) < 0)
		return;
	if (x->limits.stream_reads == LIMITS_STREAMS) {
		reply_busy(&req->reply, LIMITS_STREAMS);
		return;
	}
	if (!execution_admit(x, RATE_FORWARD, &req->reply))
		return;
	s = calloc(1, sizeof(*s));
	if (!s || stream_retry_init(&s->retry, x->base, on_due, s) < 0) {
		free(s);
		reply_problem(&req->reply, 503, "out_of_memory",
			      "the sidecar is out of memory; try again");
		return;
	}
	s->state = STREAM_READ_WAITING;
	s->execution = x;
	s->reply = req->reply;
	s->next = from;
	x->limits.stream_reads++;
	LIST_INSERT_HEAD(&x->stream_reads, s, link);
	http_exchange_set_data(s->reply.ex, s);
	http_exchange_set_endless(s->reply.ex);
	http_exchange_set_backlog(s->reply.ex, STREAM_READ_BACKLOG_BYTES);
	http_exchange_on_close(s->reply.ex, on_close);
	http_exchange_on_drain(s->reply.ex, on_drain);
	ask(s);
}
