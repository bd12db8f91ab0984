#include "cli/api_stream.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>

#include "cli/output.h"
#include "cli/slow_note.h"
#include "common/clock.h"

#define TO(state) (1U << API_STREAM_##state)

static UNUSED const unsigned int api_stream_moves[] = {
	[API_STREAM_WAITING] = TO(ASKING) | TO(OVER),
	[API_STREAM_ASKING] = TO(OPEN) | TO(WAITING) | TO(OVER),
	[API_STREAM_OPEN] = TO(WAITING) | TO(OVER),
	[API_STREAM_OVER] = 0,
};

static void api_stream_set_state(struct api_stream *s,
				 enum api_stream_state state)
{
	assert(api_stream_moves[s->state] & (1U << state));
	s->state = state;
}

static void api_stream_set_timer(struct event *ev, unsigned int ms)
{
	const struct timeval tv = clock_timeval(ms);

	event_add(ev, &tv);
}

bool api_stream_is_over(const struct api_stream *s)
{
	return s->state == API_STREAM_OVER;
}

int api_stream_feed(struct api_stream *s, struct frame_decoder *decoder,
		    const uint8_t *data, size_t len,
		    void (*on_frame)(void *ctx, const struct frame *frame))
{
	struct frame frame;
	int r = frame_decoder_feed(decoder, data, len);

	while (!r && !api_stream_is_over(s)) {
		r = frame_decoder_next(decoder, &frame);
		if (!r)
			on_frame(s->ctx, &frame);
	}
	return r == FRAME_E_INVALID || r < 0 ? r : 0;
}

void api_stream_finish(struct api_stream *s, int result)
{
	if (api_stream_is_over(s))
		return;
	api_stream_set_state(s, API_STREAM_OVER);
	s->result = result;
	event_base_loopbreak(s->api->base);
}

static void api_stream_out_of_memory(struct api_stream *s)
{
	output_error("out of memory");
	api_stream_finish(s, s->result);
}

/* --- the reply ----------------------------------------------------------- */

static void api_stream_answered(struct api_stream *s)
{
	slow_note_stop(s->note);
	s->note = NULL;
}

static void api_stream_heard(struct api_stream *s)
{
	patience_heard(&s->patience);
	if (s->silence_ms)
		api_stream_set_timer(s->silence, s->silence_ms);
}

static void on_headers(struct backend_call *call,
		       const struct backend_response *r, void *ctx)
{
	struct api_stream *s = ctx;

	s->reply.status = r->status;
	api_stream_answered(s);
	if (api_stream_is_over(s) || r->status != 200)
		return;
	api_stream_set_state(s, API_STREAM_OPEN);
	api_stream_heard(s);
}

static void on_data(struct backend_call *call, const uint8_t *data, size_t len,
		    void *ctx)
{
	struct api_stream *s = ctx;

	if (api_stream_is_over(s))
		return;
	if (s->state == API_STREAM_OPEN) {
		api_stream_heard(s);
		s->ops->on_data(s->ctx, data, len);
	} else if (buf_append(&s->reply.body, data, len) < 0) {
		api_stream_out_of_memory(s);
	}
}

static void api_stream_again(struct api_stream *s, const char *why)
{
	api_stream_set_state(s, API_STREAM_WAITING);
	if (patience_lasts(&s->patience, why))
		api_stream_set_timer(s->again, PATIENCE_AGAIN_MS);
	else
		s->ops->on_lost(s->ctx, why);
}

static void on_done(struct backend_call *call, const struct backend_response *r,
		    void *ctx)
{
	struct api_stream *s = ctx;
	bool refused = !r->error && s->state != API_STREAM_OPEN;

	s->call = NULL;
	api_stream_answered(s);
	event_del(s->silence);
	if (api_stream_is_over(s))
		return;
	/* It was there until now, however long it had nothing to say. */
	if (s->state == API_STREAM_OPEN)
		patience_heard(&s->patience);
	if (refused)
		api_reply_read_problem(&s->reply);
	if (refused && s->reply.status != 503) {
		s->ops->on_refused(s->ctx, &s->reply);
	} else if (refused) {
		api_stream_again(s, s->reply.detail);
	} else if (!s->ops->on_end(s->ctx, !r->error)) {
		api_stream_again(s, r->error ? r->detail : "it hung up");
	}
}

/* Not even a heartbeat: the connection is dead. */
static void on_silence(evutil_socket_t fd, short what, void *arg)
{
	struct api_stream *s = arg;

	if (s->call)
		backend_call_cancel(s->call);
	s->call = NULL;
	api_stream_again(s, "it has fallen silent");
}

/* --- asking -------------------------------------------------------------- */

static void api_stream_ask(struct api_stream *s)
{
	static const struct backend_call_ops ops = {
		.on_headers = on_headers,
		.on_data = on_data,
		.on_done = on_done,
	};
	const struct backend_header accept = { "accept", s->accept };
	_cleanup_(buf_deinit) struct buf path = { 0 };
	struct backend_request req = {
		.method = "GET",
		.headers = &accept,
		.n_headers = s->accept ? 1 : 0,
		.retry = BACKEND_RETRY_SAFE,
	};

	api_stream_set_state(s, API_STREAM_ASKING);
	s->reply.status = 0;
	buf_clear(&s->reply.body);
	if (!s->ops->on_ask(s->ctx, &path))
		req.path = buf_cstr(&path);
	if (!req.path || slow_note_start(&s->note, s->api) < 0 ||
	    backend_client_call(s->api->client, &req, &ops, s, &s->call) < 0)
		api_stream_out_of_memory(s);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	api_stream_ask(arg);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct api_stream *s = arg;

	s->ops->on_interrupt(s->ctx);
}

/* --- life ---------------------------------------------------------------- */

static int api_stream_init(struct api_stream *s)
{
	struct event_base *base = s->api->base;

	patience_heard(&s->patience);
	s->again = evtimer_new(base, on_again, s);
	s->silence = evtimer_new(base, on_silence, s);
	s->signals[0] = evsignal_new(base, SIGINT, on_signal, s);
	s->signals[1] = evsignal_new(base, SIGTERM, on_signal, s);
	if (!s->again || !s->silence || !s->signals[0] || !s->signals[1] ||
	    event_add(s->signals[0], NULL) < 0 ||
	    event_add(s->signals[1], NULL) < 0)
		return -ENOMEM;
	return 0;
}

static void api_stream_deinit(struct api_stream *s)
{
	struct event *const events[] = { s->again, s->silence, s->signals[0],
					 s->signals[1] };

	if (s->call)
		backend_call_cancel(s->call);
	api_stream_answered(s);
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		if (events[i])
			event_free(events[i]);
	api_reply_deinit(&s->reply);
}

int api_stream_run(struct api_stream *s, int otherwise)
{
	s->result = otherwise;
	if (api_stream_init(s) < 0)
		api_stream_out_of_memory(s);
	else
		api_stream_ask(s);
	while (!api_stream_is_over(s) && event_base_dispatch(s->api->base) == 0)
		;
	api_stream_deinit(s);
	return s->result;
}
