#include "cli/follow.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/job_cancel.h"
#include "cli/job_view.h"
#include "cli/local.h"
#include "cli/log_frame.h"
#include "cli/output.h"
#include "cli/queue_check.h"
#include "common/clock.h"
#include "common/frame.h"
#include "common/json.h"

#define FOLLOW_TICK_MS 250
#define FOLLOW_WARN_MS 3000
#define FOLLOW_AGAIN_MS 200 /* between two tries to take the stream up */

struct follow {
	struct api *api;
	const char *id;
	const struct follow_options *options;
	struct backend_call *call;
	struct frame_decoder decoder;
	uint64_t offset;  /* payload bytes of the log seen */
	uint64_t seen_ms; /* when the server last said something */
	json_t *job;      /* its last state */
	bool ended;       /* … which is final */
	bool over;        /* leave the loop, with end */
	enum follow_end end;
	bool warned; /* … that the server is away */
	unsigned int interrupts;
	int status; /* of an HTTP answer that is no stream */
	struct buf problem;
	struct event *tick, *again, *hold, *signals[2];
	struct queue_check *check;
	struct log_frame log; /* with options->json */
};

static void follow_finish(struct follow *f, enum follow_end end)
{
	if (!f->over)
		f->end = end;
	f->over = true;
	event_base_loopbreak(f->api->base);
}

/* --- what the job does --------------------------------------------------- */

static void follow_show_state(struct follow *f)
{
	const char *state = json_get_str(f->job, "state", "?");

	if (!f->options->progress)
		return;
	if (f->interrupts)
		output_status("cancelling (Ctrl-C again to leave)");
	else if (!strcmp(state, "queued"))
		output_status("queued");
	else if (!strcmp(state, "claimed"))
		output_status("preparing a place to run");
	else
		output_status_clear();
}

static void follow_on_written(struct follow *f, int r)
{
	if (r == -EPIPE) {
		follow_finish(f, FOLLOW_LEFT);
	} else if (r < 0) {
		output_error("cannot write the log: %s", strerror(-r));
		follow_finish(f, FOLLOW_REFUSED);
	}
}

static void follow_on_state(struct follow *f, const struct frame *frame)
{
	json_t *job = json_parse_object(frame->payload, frame->len, NULL, 0);

	if (!job)
		return;
	json_decref(f->job);
	f->job = job;
	f->ended = job_view_ended(job);
	if (f->ended && f->options->json)
		follow_on_written(f, log_frame_finish_json(&f->log));
	follow_show_state(f);
}

static void follow_show_notice(const struct frame *frame)
{
	const char *text = (const char *)frame->payload;
	const char *end = text + frame->len;

	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));

		stop = stop ? stop : end;
		output_note("%.*s", (int)(stop - text), text);
		text = stop + 1;
	}
}

static void follow_on_notice(struct follow *f, const struct frame *frame)
{
	f->offset += frame->len;
	if (f->options->json)
		follow_on_written(f, log_frame_print_json(&f->log, frame));
	else
		follow_show_notice(frame);
	follow_show_state(f);
}

static void follow_on_output(struct follow *f, int fd,
			     const struct frame *frame)
{
	f->offset += frame->len;
	follow_on_written(f, f->options->json
				     ? log_frame_print_json(&f->log, frame)
				     : output_bytes(fd, frame->payload,
						    frame->len));
}

static void follow_on_frame(struct follow *f, const struct frame *frame)
{
	switch (frame->type) {
	case FRAME_STATE:
		follow_on_state(f, frame);
		return;
	case FRAME_NOTICE:
		follow_on_notice(f, frame);
		return;
	case FRAME_STDOUT:
		follow_on_output(f, f->options->stdout_fd, frame);
		return;
	case FRAME_STDERR:
		follow_on_output(f, f->options->stderr_fd, frame);
		return;
	default:
		return; /* a newer server says more than we know */
	}
}

/* --- the stream ---------------------------------------------------------- */

static void follow_on_headers(struct backend_call *call,
			      const struct backend_response *r, void *ctx)
{
	struct follow *f = ctx;

	f->status = r->status;
	f->seen_ms = clock_mono_ms();
	f->warned = false;
	frame_decoder_deinit(&f->decoder);
	f->decoder = (struct frame_decoder){ 0 };
	buf_clear(&f->problem);
}

static void follow_on_data(struct backend_call *call, const uint8_t *data,
			   size_t len, void *ctx)
{
	struct follow *f = ctx;
	struct frame frame;
	int r;

	f->seen_ms = clock_mono_ms();
	if (f->status != 200) {
		if (buf_append(&f->problem, data, len) < 0)
			follow_finish(f, FOLLOW_REFUSED);
		return;
	}
	r = frame_decoder_feed(&f->decoder, data, len);
	while (!r && !f->over) {
		r = frame_decoder_next(&f->decoder, &frame);
		if (!r)
			follow_on_frame(f, &frame);
	}
	if (r == FRAME_E_INVALID || r < 0) {
		output_error("cannot follow %s: the server's log stream is "
			     "broken",
			     f->id);
		follow_finish(f, FOLLOW_REFUSED);
	}
}

static void follow_explain_status(struct follow *f)
{
	_cleanup_json_ json_t *o = json_parse_object(f->problem.data,
						     f->problem.len, NULL, 0);
	struct api_reply reply = { .status = f->status };
	char doing[96];

	snprintf(reply.detail, sizeof(reply.detail), "%s",
		 json_get_str(o, "detail", "the server refuses it"));
	snprintf(doing, sizeof(doing), "follow %.60s", f->id);
	api_explain(f->api, &reply, doing);
}

static void follow_set_timer(struct event *ev, unsigned int ms)
{
	const struct timeval tv = clock_timeval(ms);

	event_add(ev, &tv);
}

static void follow_on_done(struct backend_call *call,
			   const struct backend_response *r, void *ctx)
{
	struct follow *f = ctx;

	f->call = NULL;
	if (f->over)
		return;
	if (f->ended) {
		follow_finish(f, FOLLOW_ENDED);
		return;
	}
	if (!r->error && f->status != 200) {
		follow_explain_status(f);
		follow_finish(f, FOLLOW_REFUSED);
		return;
	}
	/* A script may be silent for as long as it likes. */
	if (f->status == 200)
		f->seen_ms = clock_mono_ms();
	if (clock_mono_ms() - f->seen_ms > FOLLOW_PATIENCE_MS) {
		output_error("lost the server while %s was under way: %s; "
			     "the job may still run: `cronium job %s` tells",
			     f->id, r->error ? r->detail : "it hung up", f->id);
		follow_finish(f, FOLLOW_LOST);
		return;
	}
	if (clock_mono_ms() - f->seen_ms > FOLLOW_WARN_MS && !f->warned) {
		output_warn("the server is away (%s); waiting for it",
			    r->error ? r->detail : "it hung up");
		f->warned = true;
	}
	output_status("waiting for the server");
	follow_set_timer(f->again, FOLLOW_AGAIN_MS);
}

static void follow_start(struct follow *f)
{
	static const struct backend_call_ops ops = {
		.on_headers = follow_on_headers,
		.on_data = follow_on_data,
		.on_done = follow_on_done,
	};
	static const struct backend_header headers[] = {
		{ "accept", FRAME_CONTENT_TYPE },
	};
	char path[256];
	const struct backend_request req = {
		.method = "GET",
		.path = path,
		.headers = headers,
		.n_headers = 1,
		.retry = BACKEND_RETRY_SAFE,
	};

	f->status = 0;
	snprintf(path, sizeof(path),
		 "/v1/jobs/%.128s/logs?follow=1&offset=%" PRIu64, f->id,
		 f->offset);
	if (backend_client_call(f->api->client, &req, &ops, f, &f->call) < 0) {
		output_error("out of memory");
		follow_finish(f, FOLLOW_REFUSED);
	}
}

static void follow_on_again(evutil_socket_t fd, short what, void *arg)
{
	follow_start(arg);
}

static void follow_on_tick(evutil_socket_t fd, short what, void *arg)
{
	output_status_tick();
}

/* --- Ctrl-C -------------------------------------------------------------- */

static void follow_on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct follow *f = arg;

	if (!f->options->cancel || f->interrupts++) {
		follow_finish(f, FOLLOW_LEFT);
		return;
	}
	if (job_cancel_start(f->api, f->id, "interrupted") < 0)
		follow_finish(f, FOLLOW_LEFT);
	follow_show_state(f);
}

/* The server that was started for us says something: it is failing. */
static void follow_on_hold(evutil_socket_t fd, short what, void *arg)
{
	struct follow *f = arg;
	char line[512];
	ssize_t n = read(fd, line, sizeof(line) - 1);
	_cleanup_free_ char *why = NULL;

	line[MAX(n, 0)] = '\0';
	if (n > 0 && strncmp(line, "failed ", 7) != 0)
		return;
	why = local_last_error(&f->api->server.place);
	output_error("the local server ended while %s was under way: %s", f->id,
		     why ? why : "it left no message");
	follow_finish(f, FOLLOW_LOST);
}

/* --- a job that nobody takes ------------------------------------------------ */

static const json_t *follow_last_state(void *ctx)
{
	const struct follow *f = ctx;

	return f->job;
}

/* A server of our own will not get another orchestrator. */
static void follow_on_nobody(void *ctx, const char *why)
{
	struct follow *f = ctx;

	if (f->api->server.hold.embedded) {
		output_error("the script cannot be run: %s", why);
		follow_finish(f, FOLLOW_REFUSED);
	} else {
		output_warn("%s waits: %s", f->id, why);
	}
}

/* --- life ---------------------------------------------------------------- */

static int follow_init(struct follow *f)
{
	struct event_base *base = f->api->base;

	f->tick = event_new(base, -1, EV_PERSIST, follow_on_tick, f);
	f->again = event_new(base, -1, 0, follow_on_again, f);
	f->signals[0] = evsignal_new(base, SIGINT, follow_on_signal, f);
	f->signals[1] = evsignal_new(base, SIGTERM, follow_on_signal, f);
	if (!f->tick || !f->again || !f->signals[0] || !f->signals[1])
		return -ENOMEM;
	f->check = queue_check_new(f->api, follow_last_state, follow_on_nobody,
				   f);
	if (!f->check)
		return -ENOMEM;
	event_add(f->signals[0], NULL);
	event_add(f->signals[1], NULL);
	if (output_is_terminal())
		follow_set_timer(f->tick, FOLLOW_TICK_MS);
	if (!f->api->server.hold.embedded)
		return 0; /* it may be restarted under us */
	f->hold = event_new(base, f->api->server.hold.fd, EV_READ | EV_PERSIST,
			    follow_on_hold, f);
	if (!f->hold)
		return -ENOMEM;
	event_add(f->hold, NULL);
	return 0;
}

static void follow_free_event(struct event *ev)
{
	if (ev)
		event_free(ev);
}

static void follow_deinit(struct follow *f)
{
	if (f->call)
		backend_call_cancel(f->call);
	queue_check_free(f->check);
	follow_free_event(f->tick);
	follow_free_event(f->again);
	follow_free_event(f->hold);
	follow_free_event(f->signals[0]);
	follow_free_event(f->signals[1]);
	frame_decoder_deinit(&f->decoder);
	buf_deinit(&f->problem);
	output_status_clear();
}

enum follow_end follow_job(struct api *api, const char *id,
			   const struct follow_options *options, json_t **job)
{
	struct follow f = {
		.api = api,
		.id = id,
		.options = options,
		.seen_ms = clock_mono_ms(),
		.end = FOLLOW_REFUSED,
	};

	*job = NULL;
	if (follow_init(&f) < 0) {
		output_error("out of memory");
	} else {
		follow_start(&f);
		while (!f.over && event_base_dispatch(api->base) == 0)
			;
	}
	follow_deinit(&f);
	if (f.end == FOLLOW_ENDED)
		*job = f.job;
	else
		json_decref(f.job);
	return f.end;
}
