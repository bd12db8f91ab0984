#include "sidecar/stream_write.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backend-client/client.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/ndjson.h"
#include "sidecar/execution.h"
#include "sidecar/forward.h"
#include "sidecar/handlers.h"
#include "sidecar/request.h"
#include "sidecar/seat.h"
#include "sidecar/stream_call.h"
#include "sidecar/stream_problem.h"

/* The rest of SEAT_DRAIN_MS is for the appends. */
#define STREAM_WRITE_DRAIN_MS (SEAT_DRAIN_MS / 2)

enum stream_write_state {
	STREAM_WRITE_RECEIVING,
	STREAM_WRITE_ENDED,
	STREAM_WRITE_FAILED,
	STREAM_WRITE_CUT,
};

struct stream_write {
	LIST_ENTRY(stream_write) link;
	enum stream_write_state state;
	struct execution *execution;
	struct reply reply;
	struct stream_options options;

	struct ndjson split;
	struct ndjson_record record; /* has_record: has no room yet */
	bool has_record;
	bool paused; /* the body is */
	struct buf collected;
	uint64_t n_collected;
	uint64_t from; /* the number of the first one, if numbered */

	struct stream_append append;
	bool last_sent; /* the append under way, or done, is the last one */
	bool asking;    /* it is none: where does the stream stand? */
	bool knows_next;
	uint64_t next; /* as the backend last said */

	bool started;  /* the reply, of acknowledgements */
	bool full;     /* the script does not read it */
	uint64_t told; /* what it last said; UINT64_MAX: nothing */

	struct stream_problem problem; /* FAILED */
	struct event *drain;
};

static UNUSED bool may_follow(enum stream_write_state from,
			      enum stream_write_state to)
{
	return from == STREAM_WRITE_RECEIVING
		       ? to != STREAM_WRITE_RECEIVING
		       : from != STREAM_WRITE_FAILED &&
				 to == STREAM_WRITE_FAILED;
}

static void set_state(struct stream_write *w, enum stream_write_state state)
{
	assert(may_follow(w->state, state));
	w->state = state;
}

static void stream_write_free(struct stream_write *w)
{
	struct execution *x = w->execution;

	LIST_REMOVE(w, link);
	x->limits.stream_writes--;
	stream_append_deinit(&w->append);
	ndjson_deinit(&w->split);
	buf_deinit(&w->collected);
	stream_problem_deinit(&w->problem);
	if (w->drain)
		event_free(w->drain);
	free(w);
	execution_write_end(x);
}

void stream_write_free_all(struct execution *x)
{
	struct stream_write *w;

	while ((w = LIST_FIRST(&x->stream_writes))) {
		if (w->reply.ex && w->started)
			http_respond_abort(w->reply.ex);
		else
			reply_draining(&w->reply);
		stream_write_free(w);
	}
}

/* --- telling the script --------------------------------------------------- */

static void pause_body(struct stream_write *w)
{
	if (w->reply.ex && !w->paused)
		http_exchange_pause(w->reply.ex);
	w->paused = true;
}

static void resume_body(struct stream_write *w)
{
	if (!w->paused || !w->reply.ex)
		return;
	w->paused = false;
	http_exchange_resume(w->reply.ex);
}

static size_t render_next(const struct stream_write *w, char line[48])
{
	return (size_t)snprintf(line, 48, "{\"next\":%" PRIu64 "}\n", w->next);
}

static void start_reply(struct stream_write *w)
{
	static const struct http_header headers[] = {
		{ "Content-Type", STREAM_CONTENT_TYPE },
		{ "Cache-Control", "no-store" },
	};

	if (!w->started)
		reply_start(&w->reply, 200, headers, ARRAY_SIZE(headers));
	w->started = true;
}

static void acknowledge(struct stream_write *w)
{
	char line[48];

	if (!w->options.acks || !w->reply.ex || w->full || !w->knows_next ||
	    w->told == w->next)
		return;
	start_reply(w);
	w->told = w->next;
	w->full = !http_respond_write(w->reply.ex, line, render_next(w, line));
}

static void tell_success(struct stream_write *w)
{
	static const struct http_header headers[] = {
		{ "Content-Type", "application/json" },
		{ "Cache-Control", "no-store" },
	};
	char line[48];

	if (w->options.acks) {
		w->full = false; /* the last one has to be told */
		acknowledge(w);
		http_respond_end(w->reply.ex);
	} else {
		reply_send(&w->reply, 200, headers, ARRAY_SIZE(headers), line,
			   render_next(w, line));
	}
}

static void tell_failure(struct stream_write *w)
{
	_cleanup_(buf_deinit) struct buf text = { 0 };

	if (stream_problem_render(&w->problem, w->knows_next ? &w->next : NULL,
				  &text) < 0)
		buf_clear(&text);
	if (w->started) {
		if (text.len)
			http_respond_write(w->reply.ex, text.data, text.len);
		http_respond_end(w->reply.ex);
		return;
	}
	stream_problem_send(&w->problem, &w->reply, &text);
}

static void finish(struct stream_write *w)
{
	if (w->reply.ex && w->state == STREAM_WRITE_FAILED)
		tell_failure(w);
	else if (w->reply.ex)
		tell_success(w);
	stream_write_free(w);
}

/* --- the records ---------------------------------------------------------- */

/* No more is read; what came before is still sent. */
static void fail(struct stream_write *w)
{
	set_state(w, STREAM_WRITE_FAILED);
	w->has_record = false;
	pause_body(w);
}

static size_t record_max(const struct stream_write *w)
{
	return (size_t)MIN(w->execution->assignment.value_bytes,
			   (uint64_t)STREAM_APPEND_BYTES);
}

static int64_t number(const struct stream_write *w, uint64_t record)
{
	return w->options.numbered ? (int64_t)record : -1;
}

static void fail_too_large(struct stream_write *w)
{
	stream_problem_set(&w->problem, &w->reply, 413, "too_large",
			   "a record has more than %zu bytes; write smaller "
			   "ones",
			   record_max(w));
	stream_problem_set_record(&w->problem, number(w, w->split.next));
	fail(w);
}

static void fail_invalid(struct stream_write *w, size_t at)
{
	stream_problem_set(&w->problem, &w->reply, 400, "invalid_record",
			   "each line has to be one JSON value; this one stops "
			   "being JSON at byte %" PRIu64,
			   w->record.offset + at);
	stream_problem_set_record(&w->problem, number(w, w->record.number));
	stream_problem_set_offset(&w->problem, w->record.offset + at);
	fail(w);
}

static void fail_out_of_memory(struct stream_write *w)
{
	stream_problem_set(&w->problem, &w->reply, 503, "out_of_memory",
			   "the sidecar is out of memory; go on from next");
	fail(w);
}

/* The next record, checked. False: there is none now, or it is bad. */
static bool take_record(struct stream_write *w)
{
	int r = ndjson_next(&w->split, &w->record);
	size_t at = 0;

	if (r == NDJSON_E_MORE && w->state == STREAM_WRITE_ENDED)
		r = ndjson_finish(&w->split, &w->record);
	if (!r)
		r = json_check(w->record.data, w->record.len, &at);
	if (r == NDJSON_E_TOO_LARGE)
		fail_too_large(w);
	else if (r == -EINVAL)
		fail_invalid(w, at);
	else if (r < 0)
		fail_out_of_memory(w);
	return !r;
}

/* The last line feed of a batch is not counted: a record may be as large. */
static bool has_room(const struct stream_write *w)
{
	return w->collected.len + w->record.len <= STREAM_APPEND_BYTES;
}

static int collect(struct stream_write *w)
{
	struct metrics_stream *m =
		&w->execution->metrics->streams[METRICS_STREAM_OUTPUT];
	int r = buf_reserve(&w->collected, w->record.len + 1);

	if (!r)
		r = buf_append(&w->collected, w->record.data, w->record.len);
	if (!r)
		r = buf_append(&w->collected, "\n", 1);
	w->n_collected++;
	m->bytes += w->record.len + 1;
	m->records++;
	return r;
}

static void send_batch(struct stream_write *w, bool last)
{
	const struct stream_batch batch = {
		.numbered = w->options.numbered,
		.from = w->from,
		.end = last && w->options.end,
		.key = *w->options.key ? w->options.key : NULL,
	};

	w->from += w->n_collected;
	w->n_collected = 0;
	w->last_sent = last;
	stream_append_send(&w->append, &w->collected, &batch);
}

/* Where the stream stands, whoever wrote it. */
static void send_question(struct stream_write *w)
{
	static const struct stream_batch none = { 0 };

	w->asking = true;
	stream_append_send(&w->append, &w->collected, &none);
}

/* Moves records from the body to the next append, and that one on its way when
 * it is full. False: no room is left. */
static bool take_records(struct stream_write *w)
{
	while (w->has_record || take_record(w)) {
		w->has_record = !has_room(w);
		if (w->has_record && stream_append_busy(&w->append)) {
			if (ndjson_keep(&w->split, &w->record) == 0)
				return false;
			fail_out_of_memory(w);
			return true;
		}
		if (w->has_record)
			send_batch(w, false);
		w->has_record = false;
		if (collect(w) < 0) {
			fail_out_of_memory(w);
			return true;
		}
	}
	return true;
}

/* A body that has a key of its own is one append, or none. */
static bool may_send(const struct stream_write *w)
{
	return w->collected.len &&
	       (!*w->options.key || w->state != STREAM_WRITE_RECEIVING);
}

/* Nothing is under way, perhaps for long. */
static void rest(struct stream_write *w)
{
	buf_deinit(&w->append.lines);
	if (!w->collected.len)
		buf_deinit(&w->collected);
}

/* Something has changed: what comes next? */
static void step(struct stream_write *w)
{
	if (w->state != STREAM_WRITE_FAILED && !take_records(w)) {
		pause_body(w);
		return;
	}
	if (stream_append_busy(&w->append)) {
		if (w->state == STREAM_WRITE_RECEIVING)
			resume_body(w);
		return;
	}
	if (may_send(w))
		send_batch(w, w->state == STREAM_WRITE_ENDED);
	else if (w->state == STREAM_WRITE_RECEIVING)
		rest(w);
	else if (w->state == STREAM_WRITE_ENDED && !w->last_sent &&
		 (w->options.end || !w->knows_next))
		send_batch(w, true);
	else if (w->state == STREAM_WRITE_FAILED && w->reply.ex &&
		 !w->knows_next && !w->asking && !w->problem.lost)
		send_question(w);
	else {
		finish(w);
		return;
	}
	if (w->state == STREAM_WRITE_RECEIVING)
		resume_body(w);
}

/* --- the backend ---------------------------------------------------------- */

static bool take_next(struct stream_write *w, const struct backend_response *r)
{
	_cleanup_json_ json_t *body = NULL;
	char err[128];
	int64_t next;

	body = json_parse_object(r->body, r->body_len, err, sizeof(err));
	next = body ? json_get_int(body, "next", -1) : -1;
	if (next < 0)
		return false;
	w->next = (uint64_t)next;
	w->knows_next = true;
	return true;
}

/* Whatever else was collected cannot follow. */
static void refused(struct stream_write *w, const struct backend_response *r)
{
	buf_clear(&w->collected);
	w->n_collected = 0;
	if (w->asking)
		return; /* the first problem is the one to be told */
	stream_problem_take(&w->problem, &w->reply, r);
	take_next(w, r);
	if (w->state == STREAM_WRITE_FAILED)
		return;
	if (w->reply.ex)
		fail(w);
	else
		set_state(w, STREAM_WRITE_FAILED);
}

static void on_appended(struct stream_append *a,
			const struct backend_response *r)
{
	struct stream_write *w = CONTAINER_OF(a, struct stream_write, append);

	if (r->error != BACKEND_OK || r->status != 200 || !take_next(w, r))
		refused(w, r);
	else if (!w->asking)
		acknowledge(w);
	step(w);
}

/* --- the body ------------------------------------------------------------- */

static void on_data(struct http_exchange *ex, const uint8_t *piece, size_t len,
		    void *data)
{
	struct stream_write *w = data;

	ndjson_feed(&w->split, piece, len);
	step(w);
}

static void on_end(struct http_exchange *ex, void *data)
{
	struct stream_write *w = data;

	if (w->state != STREAM_WRITE_RECEIVING)
		return;
	set_state(w, STREAM_WRITE_ENDED);
	step(w);
}

static void on_drain(struct http_exchange *ex, void *data)
{
	struct stream_write *w = data;

	w->full = false;
	acknowledge(w);
}

/* The last line was not finished: it is none. */
static void on_close(struct http_exchange *ex, void *data)
{
	struct stream_write *w = data;

	w->reply.ex = NULL;
	if (w->state == STREAM_WRITE_RECEIVING)
		set_state(w, STREAM_WRITE_CUT);
	step(w);
}

static void on_drain_due(evutil_socket_t fd, short what, void *arg)
{
	struct stream_write *w = arg;

	if (w->state != STREAM_WRITE_RECEIVING)
		return;
	stream_problem_set(&w->problem, &w->reply, 503, "draining",
			   "the job has ended, and its sidecar takes no more "
			   "records");
	fail(w);
	step(w);
}

void stream_write_drain_all(struct execution *x)
{
	const struct timeval tv = clock_timeval(STREAM_WRITE_DRAIN_MS);
	struct stream_write *w;

	LIST_FOREACH(w, &x->stream_writes, link)
		evtimer_add(w->drain, &tv);
}

/* --- the request ---------------------------------------------------------- */

static struct stream_write *stream_write_new(struct request *req)
{
	struct execution *x = req->execution;
	struct stream_write *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->execution = x;
	w->told = UINT64_MAX;
	w->append.on_done = on_appended;
	w->drain = evtimer_new(x->base, on_drain_due, w);
	if (!w->drain ||
	    stream_append_init(&w->append, x, req->reply.trace) < 0) {
		if (w->drain)
			event_free(w->drain);
		free(w);
		return NULL;
	}
	x->limits.stream_writes++;
	LIST_INSERT_HEAD(&x->stream_writes, w, link);
	execution_write_begin(x);
	return w;
}

void handle_output_stream(struct request *req)
{
	struct stream_options options;
	struct stream_write *w;

	if (!stream_options_read(req, &options))
		return;
	if (req->execution->limits.stream_writes == LIMITS_STREAMS) {
		reply_busy(&req->reply, LIMITS_STREAMS);
		return;
	}
	if (!execution_admit(req->execution, RATE_FORWARD, &req->reply))
		return;
	w = stream_write_new(req);
	if (!w) {
		reply_problem(&req->reply, 503, "out_of_memory",
			      "the sidecar is out of memory; try again");
		return;
	}
	w->options = options;
	w->from = options.from;
	w->reply = req->reply;
	ndjson_init(&w->split, record_max(w), w->from);
	http_exchange_set_data(w->reply.ex, w);
	http_exchange_on_close(w->reply.ex, on_close);
	http_exchange_on_drain(w->reply.ex, on_drain);
	http_exchange_set_endless(w->reply.ex);
	http_exchange_set_backlog(w->reply.ex, STREAM_ACK_BACKLOG_BYTES);
	http_exchange_stream(w->reply.ex, on_data, on_end);
}
