#include "cli/vars_watch.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/command.h"
#include "cli/output.h"
#include "common/clock.h"
#include "common/frame.h"
#include "common/json.h"
#include "common/percent.h"

#define WATCH_AGAIN_MS 200
#define WATCH_WARN_MS 3000
#define WATCH_SILENCE_MS (3 * FRAME_HEARTBEAT_MS)

struct watch {
	struct api *api;
	const char *key;
	int64_t version; /* seen so far; negative: none */
	struct backend_call *call;
	struct frame_decoder decoder;
	json_t *change; /* whose VALUE is to come */
	int status;
	struct buf problem;
	uint64_t seen_ms; /* when the server last said something */
	bool warned, over;
	int exit_code;
	struct event *again, *silence, *signals[2];
};

static void watch_finish(struct watch *w, int exit_code)
{
	if (!w->over)
		w->exit_code = exit_code;
	w->over = true;
	event_base_loopbreak(w->api->base);
}

static void watch_set_timer(struct event *ev, unsigned int ms)
{
	const struct timeval tv = clock_timeval(ms);

	event_add(ev, &tv);
}

/* --- what comes ---------------------------------------------------------- */

/* A newline is white space in JSON, never part of a string. */
static void watch_append_value(struct buf *line, const uint8_t *value,
			       size_t len)
{
	size_t at = line->len;

	if (buf_append(line, value, len))
		return;
	for (; at < line->len; at++)
		if (line->data[at] == '\n' || line->data[at] == '\r')
			line->data[at] = ' ';
}

/* value NULL: it was deleted. */
static void watch_print(struct watch *w, const json_t *change,
			const uint8_t *value, size_t len)
{
	int64_t version = json_get_int(change, "version", 0);
	struct buf line = { 0 };
	int r = buf_append_str(&line, "{\"key\":");

	if (!r)
		r = json_append_string(&line, w->key, strlen(w->key));
	if (!r)
		r = buf_printf(&line, ",\"version\":%" PRId64 ",%s", version,
			       value ? "\"value\":" : "\"deleted\":true");
	if (!r && value)
		watch_append_value(&line, value, len);
	if (!r)
		r = buf_append_str(&line, "}\n");
	if (!r)
		r = output_bytes(STDOUT_FILENO, line.data, line.len);
	buf_deinit_secret(&line);
	w->version = version;
	if (r == -EPIPE) {
		watch_finish(w, CLI_OK);
	} else if (r < 0) {
		output_error("cannot write the change: %s", strerror(-r));
		watch_finish(w, CLI_FAILED);
	}
}

static void watch_on_position(struct watch *w, const struct frame *frame)
{
	_cleanup_json_ json_t *o = json_parse_object(frame->payload, frame->len,
						     NULL, 0);
	int64_t version = json_get_int(o, "version", 0);

	if (json_get_bool(o, "reset", false))
		output_warn("not all changes of %s since version %" PRId64
			    " are known any more: this is how it is now",
			    w->key, w->version);
	else if (w->version < 0)
		w->version = version;
}

static void watch_on_change(struct watch *w, const struct frame *frame)
{
	json_decref(w->change);
	w->change = json_parse_object(frame->payload, frame->len, NULL, 0);
	if (json_get_bool(w->change, "deleted", false))
		watch_print(w, w->change, NULL, 0);
}

static void watch_on_frame(struct watch *w, const struct frame *frame)
{
	switch (frame->type) {
	case FRAME_POSITION:
		watch_on_position(w, frame);
		return;
	case FRAME_CHANGE:
		watch_on_change(w, frame);
		return;
	case FRAME_VALUE:
		if (w->change)
			watch_print(w, w->change, frame->payload, frame->len);
		return;
	default:
		return; /* a newer server says more than we know */
	}
}

/* --- the stream ---------------------------------------------------------- */

static void watch_heard(struct watch *w)
{
	w->seen_ms = clock_mono_ms();
	w->warned = false;
	watch_set_timer(w->silence, WATCH_SILENCE_MS);
}

static void watch_on_headers(struct backend_call *call,
			     const struct backend_response *r, void *ctx)
{
	struct watch *w = ctx;

	w->status = r->status;
	watch_heard(w);
}

static void watch_on_data(struct backend_call *call, const uint8_t *data,
			  size_t len, void *ctx)
{
	struct watch *w = ctx;
	struct frame frame;
	int r;

	watch_heard(w);
	if (w->status != 200) {
		if (buf_append(&w->problem, data, len) < 0)
			watch_finish(w, CLI_FAILED);
		return;
	}
	r = frame_decoder_feed(&w->decoder, data, len);
	while (!r && !w->over) {
		r = frame_decoder_next(&w->decoder, &frame);
		if (!r)
			watch_on_frame(w, &frame);
	}
	if (r == FRAME_E_INVALID || r < 0) {
		output_error("cannot watch %s: the server's stream is broken",
			     w->key);
		watch_finish(w, CLI_FAILED);
	}
}

static void watch_explain_status(struct watch *w)
{
	_cleanup_json_ json_t *o = json_parse_object(w->problem.data,
						     w->problem.len, NULL, 0);
	struct api_reply reply = { .status = w->status };

	snprintf(reply.detail, sizeof(reply.detail), "%s",
		 json_get_str(o, "detail", "the server refuses it"));
	api_explain(w->api, &reply, "watch the variable");
}

/* The server is away, or the stream broke off. */
static void watch_again(struct watch *w, const char *why)
{
	uint64_t away_ms = clock_mono_ms() - w->seen_ms;

	if (away_ms > VARS_WATCH_PATIENCE_MS) {
		output_error("lost the server: %s; `cronium vars watch %s "
			     "--from %" PRId64 "` goes on",
			     why, w->key, MAX(w->version, 0));
		watch_finish(w, CLI_FAILED);
		return;
	}
	if (away_ms > WATCH_WARN_MS && !w->warned) {
		output_warn("the server is away (%s); waiting for it", why);
		w->warned = true;
	}
	watch_set_timer(w->again, WATCH_AGAIN_MS);
}

static void watch_on_done(struct backend_call *call,
			  const struct backend_response *r, void *ctx)
{
	struct watch *w = ctx;

	w->call = NULL;
	event_del(w->silence);
	if (w->over)
		return;
	if (!r->error && w->status != 200 && w->status != 503) {
		watch_explain_status(w);
		watch_finish(w, CLI_FAILED);
	} else {
		watch_again(w, r->error ? r->detail : "it hung up");
	}
}

/* NULL on ENOMEM. */
static const char *watch_path(const struct watch *w, struct buf *path)
{
	if (buf_append_str(path, "/v1/changes?key=") ||
	    percent_append(path, w->key) ||
	    (w->version >= 0 && buf_printf(path, "&from=%" PRId64, w->version)))
		return NULL;
	return buf_cstr(path);
}

static void watch_start(struct watch *w)
{
	static const struct backend_call_ops ops = {
		.on_headers = watch_on_headers,
		.on_data = watch_on_data,
		.on_done = watch_on_done,
	};
	static const struct backend_header accept = { "accept",
						      FRAME_CONTENT_TYPE };
	struct buf path = { 0 };
	struct backend_request req = {
		.method = "GET",
		.path = watch_path(w, &path),
		.headers = &accept,
		.n_headers = 1,
		.retry = BACKEND_RETRY_SAFE,
	};

	w->status = 0;
	buf_clear(&w->problem);
	frame_decoder_deinit(&w->decoder);
	w->decoder = (struct frame_decoder){ 0 };
	json_decref(w->change);
	w->change = NULL;
	if (!req.path ||
	    backend_client_call(w->api->client, &req, &ops, w, &w->call) < 0) {
		output_error("out of memory");
		watch_finish(w, CLI_FAILED);
	}
	buf_deinit(&path);
}

static void watch_on_again(evutil_socket_t fd, short what, void *arg)
{
	watch_start(arg);
}

/* Not even a heartbeat: the connection is dead. */
static void watch_on_silence(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;

	if (w->call)
		backend_call_cancel(w->call);
	w->call = NULL;
	watch_again(w, "it has fallen silent");
}

static void watch_on_signal(evutil_socket_t fd, short what, void *arg)
{
	watch_finish(arg, CLI_CANCELLED);
}

/* --- life ---------------------------------------------------------------- */

static int watch_init(struct watch *w)
{
	struct event_base *base = w->api->base;

	w->again = evtimer_new(base, watch_on_again, w);
	w->silence = evtimer_new(base, watch_on_silence, w);
	w->signals[0] = evsignal_new(base, SIGINT, watch_on_signal, w);
	w->signals[1] = evsignal_new(base, SIGTERM, watch_on_signal, w);
	if (!w->again || !w->silence || !w->signals[0] || !w->signals[1])
		return -ENOMEM;
	event_add(w->signals[0], NULL);
	event_add(w->signals[1], NULL);
	return 0;
}

static void watch_deinit(struct watch *w)
{
	struct event *const events[] = { w->again, w->silence, w->signals[0],
					 w->signals[1] };

	if (w->call)
		backend_call_cancel(w->call);
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		if (events[i])
			event_free(events[i]);
	frame_decoder_deinit(&w->decoder);
	buf_deinit(&w->problem);
	json_decref(w->change);
}

int vars_watch(struct api *api, const char *key, int64_t from)
{
	struct watch w = {
		.api = api,
		.key = key,
		.version = from,
		.seen_ms = clock_mono_ms(),
		.exit_code = CLI_FAILED,
	};

	if (watch_init(&w) < 0) {
		output_error("out of memory");
	} else {
		watch_start(&w);
		while (!w.over && event_base_dispatch(api->base) == 0)
			;
	}
	watch_deinit(&w);
	return w.exit_code;
}
