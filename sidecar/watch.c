#include "sidecar/watch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend-client/client.h"
#include "common/clock.h"
#include "common/http/router.h"
#include "common/log.h"
#include "sidecar/change_stream.h"
#include "sidecar/control.h"
#include "sidecar/execution.h"
#include "sidecar/forward.h"
#include "sidecar/request.h"

enum watch_state { WATCH_ASKING, WATCH_OPEN, WATCH_MASKING };

struct watch {
	LIST_ENTRY(watch) link;
	enum watch_state state;
	struct execution *execution;
	struct reply reply; /* ex is NULL once the script went away */
	struct change_stream stream;
	struct event comment, mask_again;
	struct buf event, secret; /* MASKING: what waits, and what for */
	bool full;                /* the script is slow */
	bool lost;                /* it was told "disconnected" */
	bool reset;               /* changes before the snapshot are missing */
	char key[];               /* NUL-terminated */
};

static const struct http_header stream_headers[] = {
	{ "Content-Type", "text/event-stream" },
	{ "Cache-Control", "no-store" },
};

static UNUSED bool may_follow(enum watch_state from, enum watch_state to)
{
	return from == WATCH_OPEN ? to == WATCH_MASKING : to == WATCH_OPEN;
}

static void set_state(struct watch *w, enum watch_state state)
{
	assert(may_follow(w->state, state));
	w->state = state;
}

static struct watch *watch_of(struct change_stream *s)
{
	return CONTAINER_OF(s, struct watch, stream);
}

static void watch_free(struct watch *w)
{
	LIST_REMOVE(w, link);
	w->execution->n_watches--;
	change_stream_deinit(&w->stream);
	event_del(&w->comment);
	event_del(&w->mask_again);
	buf_deinit_secret(&w->event);
	buf_deinit_secret(&w->secret);
	free(w);
}

/* Nobody listens any more. */
static void leave(struct watch *w)
{
	w->reply.ex = NULL;
	if (w->state != WATCH_MASKING)
		watch_free(w);
	else
		change_stream_deinit(&w->stream);
}

/* The reply was begun. */
static void end(struct watch *w)
{
	http_respond_end(w->reply.ex);
	leave(w);
}

/* --- writing -------------------------------------------------------------- */

static void set_comment_timer(struct watch *w)
{
	const struct timeval tv = clock_timeval(WATCH_COMMENT_MS);

	evtimer_add(&w->comment, &tv);
}

static void open_reply(struct watch *w)
{
	if (w->state != WATCH_ASKING)
		return;
	set_state(w, WATCH_OPEN);
	reply_start(&w->reply, 200, stream_headers, ARRAY_SIZE(stream_headers));
	set_comment_timer(w);
}

static void write_text(struct watch *w, const void *text, size_t len)
{
	if (http_respond_write(w->reply.ex, text, len))
		return;
	w->full = true;
	change_stream_hold(&w->stream);
}

static void on_drain(struct http_exchange *ex, void *data)
{
	struct watch *w = data;

	w->full = false;
	if (w->state != WATCH_MASKING)
		change_stream_release(&w->stream);
}

/* So that the script, and what is in between, know that we are there. */
static void on_comment(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;

	if (!w->reply.ex)
		return;
	if (!w->full)
		write_text(w, ":\n\n", 3);
	set_comment_timer(w);
}

static void write_event(struct watch *w, const struct buf *event)
{
	w->execution->metrics->watch_events++;
	write_text(w, event->data, event->len);
}

/* --- secrets -------------------------------------------------------------- */

static void on_masked(bool masked, void *ctx);

static void mask(struct watch *w)
{
	if (control_redact(w->execution->control, w->secret.data, w->secret.len,
			   on_masked, w) < 0)
		on_masked(false, w);
}

static void on_mask_again(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;

	if (w->reply.ex)
		mask(w);
	else
		watch_free(w);
}

static void on_masked(bool masked, void *ctx)
{
	const struct timeval pause = clock_timeval(WATCH_MASK_RETRY_MS);
	struct watch *w = ctx;

	if (!w->reply.ex) {
		watch_free(w);
		return;
	}
	if (!masked) {
		execution_log(
			w->execution, LOG_LEVEL_WARN,
			"an event waits: its secret cannot be masked in the "
			"job's log now");
		evtimer_add(&w->mask_again, &pause);
		return;
	}
	w->execution->metrics->redactions++;
	set_state(w, WATCH_OPEN);
	write_event(w, &w->event);
	buf_deinit_secret(&w->event);
	buf_deinit_secret(&w->secret);
	if (!w->full)
		change_stream_release(&w->stream);
}

/* --- what the backend says ------------------------------------------------ */

static void on_position(struct change_stream *s, uint64_t version, bool reset)
{
	static const char connected[] = "event: connected\ndata: {}\n\n";
	struct watch *w = watch_of(s);

	open_reply(w);
	w->reset = reset;
	if (w->lost)
		write_text(w, connected, sizeof(connected) - 1);
	w->lost = false;
}

static const char *event_name(const struct watch *w, const struct change *c)
{
	if (c->snapshot)
		return w->reset ? "reset" : "snapshot";
	return c->deleted ? "delete" : "change";
}

static void on_change(struct change_stream *s, const struct change *c)
{
	_cleanup_(buf_deinit_secret) struct buf event = { 0 };
	struct watch *w = watch_of(s);

	if (watch_append_event(&event, event_name(w, c), w->key, c) < 0 ||
	    (c->secret && c->len &&
	     buf_append(&w->secret, c->value, c->len) < 0)) {
		/* An event less would be a lie; it may ask again. */
		http_respond_abort(w->reply.ex);
		w->reply.ex = NULL;
		change_stream_hold(s);
		evtimer_add(&w->mask_again, &(struct timeval){ 0 });
		return;
	}
	if (!w->secret.len) {
		write_event(w, &event);
		return;
	}
	w->event = event;
	event = (struct buf){ 0 };
	set_state(w, WATCH_MASKING);
	change_stream_hold(s);
	mask(w);
}

static void on_lost(struct change_stream *s, const char *why)
{
	_cleanup_(buf_deinit) struct buf event = { 0 };
	struct watch *w = watch_of(s);

	if (w->lost || !w->reply.ex)
		return;
	open_reply(w);
	if (w->state == WATCH_MASKING)
		return; /* what waits is told before, and then what is missing */
	w->lost = true;
	if (watch_append_lost(&event, why) == 0)
		write_text(w, event.data, event.len);
}

static void on_refused(struct change_stream *s,
		       const struct backend_response *r)
{
	struct watch *w = watch_of(s);

	if (w->state == WATCH_ASKING) {
		forward_reply(&w->reply, r, NULL);
		watch_free(w);
	} else if (w->reply.ex) {
		end(w);
	}
}

/* --- the request ---------------------------------------------------------- */

static void on_close(struct http_exchange *ex, void *data)
{
	leave(data);
}

/* Last-Event-ID is newer than the address that it was asked with. */
static bool take_from(struct request *req, int64_t *from)
{
	const char *text = http_request_header(req->http, "last-event-id");
	char query[32];
	int r;

	if (!text || !*text) {
		r = http_query_get(req->http->query, "from", query,
				   sizeof(query));
		text = r > 0 ? query : r < 0 ? "?" : NULL;
	}
	if (!watch_parse_version(text, from))
		return true;
	reply_problem(
		&req->reply, 400, "invalid_version",
		"Last-Event-ID and from= are versions: the id of an event "
		"that was seen");
	return false;
}

static bool admit(struct request *req)
{
	static const struct http_header retry_after = { "Retry-After", "1" };
	const struct execution *x = req->execution;

	if (x->n_watches < WATCH_MAX)
		return execution_admit(req->execution, RATE_FORWARD,
				       &req->reply);
	reply_problem_with(&req->reply, 429, "too_many_requests", &retry_after,
			   "%d watches are open; end one of them", WATCH_MAX);
	return false;
}

static void start(struct watch *w, struct request *req, int64_t from)
{
	static const struct change_stream_ops ops = {
		.on_position = on_position,
		.on_change = on_change,
		.on_lost = on_lost,
		.on_refused = on_refused,
	};
	struct execution *x = req->execution;

	w->execution = x;
	w->reply = req->reply;
	event_assign(&w->comment, x->base, -1, 0, on_comment, w);
	event_assign(&w->mask_again, x->base, -1, 0, on_mask_again, w);
	LIST_INSERT_HEAD(&x->watches, w, link);
	x->n_watches++;
	http_exchange_set_data(w->reply.ex, w);
	http_exchange_on_close(w->reply.ex, on_close);
	http_exchange_on_drain(w->reply.ex, on_drain);
	change_stream_init(&w->stream, x, &ops, w->key, w->reply.trace, from);
	change_stream_start(&w->stream);
}

void watch_begin(struct request *req, const char *key)
{
	struct watch *w;
	int64_t from;

	if (!take_from(req, &from))
		return;
	if (req->http->method == HTTP_HEAD) {
		reply_send(&req->reply, 200, stream_headers,
			   ARRAY_SIZE(stream_headers), NULL, 0);
		return;
	}
	if (!admit(req))
		return;
	w = calloc(1, sizeof(*w) + strlen(key) + 1);
	if (!w) {
		reply_problem(&req->reply, 503, "out_of_memory",
			      "the sidecar is out of memory; try again");
		return;
	}
	strcpy(w->key, key);
	start(w, req, from);
}

void watch_end_all(struct execution *x)
{
	struct watch *w, *next;

	for (w = LIST_FIRST(&x->watches); w; w = next) {
		next = LIST_NEXT(w, link);
		if (!w->reply.ex)
			continue;
		if (w->state == WATCH_ASKING) {
			reply_draining(&w->reply);
			watch_free(w);
		} else {
			end(w);
		}
	}
}

void watch_free_all(struct execution *x)
{
	while (!LIST_EMPTY(&x->watches))
		watch_free(LIST_FIRST(&x->watches));
}
