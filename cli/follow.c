#include "cli/follow.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/api_stream.h"
#include "cli/command.h"
#include "cli/job_cancel.h"
#include "cli/job_view.h"
#include "cli/local.h"
#include "cli/log_frame.h"
#include "cli/output.h"
#include "cli/wait_note.h"
#include "common/clock.h"
#include "common/frame.h"
#include "common/json.h"

#define FOLLOW_TICK_MS 250

struct follow {
	struct api_stream stream;
	struct api *api;
	const char *id;
	const struct follow_options *options;
	struct frame_decoder decoder;
	uint64_t offset; /* payload bytes of the log seen */
	json_t *job;     /* its last state */
	bool ended;      /* … which is final */
	unsigned int interrupts;
	struct event *tick, *hold;
	struct wait_note *note;
	struct log_frame log; /* with options->json */
};

static void follow_finish(struct follow *f, enum follow_end end)
{
	api_stream_finish(&f->stream, end);
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
	wait_note_job(f->note, job);
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
		output_warn("%.*s", (int)(stop - text), text);
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

static void follow_on_frame(void *ctx, const struct frame *frame)
{
	struct follow *f = ctx;

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

static void on_data(void *ctx, const uint8_t *data, size_t len)
{
	struct follow *f = ctx;

	if (api_stream_feed(&f->stream, &f->decoder, data, len,
			    follow_on_frame)) {
		output_error("cannot follow %s: the server's log stream is "
			     "broken",
			     f->id);
		follow_finish(f, FOLLOW_REFUSED);
	}
}

static bool on_end(void *ctx, bool whole)
{
	struct follow *f = ctx;

	if (f->ended)
		follow_finish(f, FOLLOW_ENDED);
	else
		output_status("waiting for the server");
	return f->ended;
}

static void on_lost(void *ctx, const char *why)
{
	struct follow *f = ctx;

	output_error("lost the server while %s was under way: %s; the job may "
		     "still run: `cronium job %s` tells",
		     f->id, why, f->id);
	follow_finish(f, FOLLOW_LOST);
}

static void on_refused(void *ctx, const struct api_reply *reply)
{
	struct follow *f = ctx;
	char doing[96];

	snprintf(doing, sizeof(doing), "follow %.60s", f->id);
	api_explain(f->api, reply, doing);
	follow_finish(f, FOLLOW_REFUSED);
}

static int on_ask(void *ctx, struct buf *path)
{
	struct follow *f = ctx;

	frame_decoder_deinit(&f->decoder);
	f->decoder = (struct frame_decoder){ 0 };
	return buf_printf(path, "/v1/jobs/%.128s/logs?follow=1&offset=%" PRIu64,
			  f->id, f->offset);
}

static void on_interrupt(void *ctx)
{
	struct follow *f = ctx;

	if (!f->options->cancel || f->interrupts++) {
		follow_finish(f, FOLLOW_LEFT);
		return;
	}
	if (job_cancel_start(f->api, f->id, "interrupted") < 0)
		follow_finish(f, FOLLOW_LEFT);
	follow_show_state(f);
}

/* --- the terminal, and a server of our own ------------------------------- */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	output_status_tick();
}

/* The server that was started for us says something: it is failing. */
static void on_hold(evutil_socket_t fd, short what, void *arg)
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

/* --- a job that nobody takes ---------------------------------------------- */

/* A server of our own will not get another orchestrator. */
static void follow_on_waiting(void *ctx, const char *code, const char *why)
{
	struct follow *f = ctx;

	if (f->api->server.hold.embedded && wait_note_is_hopeless(code)) {
		output_error("the script cannot be run: %s", why);
		follow_finish(f, FOLLOW_REFUSED);
	} else {
		output_warn("waiting: %s", why);
	}
}

/* --- life ---------------------------------------------------------------- */

static int follow_init(struct follow *f)
{
	const struct timeval tick = clock_timeval(FOLLOW_TICK_MS);
	struct event_base *base = f->api->base;

	f->tick = event_new(base, -1, EV_PERSIST, on_tick, f);
	f->note = wait_note_new(base, follow_on_waiting, f);
	if (!f->tick || !f->note)
		return -ENOMEM;
	if (output_is_terminal())
		event_add(f->tick, &tick);
	if (!f->api->server.hold.embedded)
		return 0; /* it may be restarted under us */
	f->hold = event_new(base, f->api->server.hold.fd, EV_READ | EV_PERSIST,
			    on_hold, f);
	return f->hold ? event_add(f->hold, NULL) : -ENOMEM;
}

static void follow_deinit(struct follow *f)
{
	wait_note_free(f->note);
	if (f->tick)
		event_free(f->tick);
	if (f->hold)
		event_free(f->hold);
	frame_decoder_deinit(&f->decoder);
	output_status_clear();
}

enum follow_end follow_job(struct api *api, const char *id,
			   const struct follow_options *options, json_t **job)
{
	static const struct api_stream_ops ops = {
		.on_ask = on_ask,
		.on_data = on_data,
		.on_end = on_end,
		.on_lost = on_lost,
		.on_refused = on_refused,
		.on_interrupt = on_interrupt,
	};
	struct follow f = {
		.stream = {
			.api = api,
			.ops = &ops,
			.ctx = &f,
			.accept = FRAME_CONTENT_TYPE,
		},
		.api = api,
		.id = id,
		.options = options,
	};
	enum follow_end end = FOLLOW_REFUSED;

	*job = NULL;
	if (follow_init(&f) < 0)
		output_error("out of memory");
	else
		end = (enum follow_end)api_stream_run(&f.stream,
						      FOLLOW_REFUSED);
	follow_deinit(&f);
	if (end == FOLLOW_ENDED)
		*job = f.job;
	else
		json_decref(f.job);
	return end;
}

int follow_own_job(struct api *api, const char *id,
		   const struct follow_options *options, json_t **job)
{
	server_attach(&api->server, id);
	switch (follow_job(api, id, options, job)) {
	case FOLLOW_ENDED:
		server_detach(&api->server, id);
		return CLI_OK;
	case FOLLOW_LEFT:
		return CLI_CANCELLED;
	case FOLLOW_LOST:
	case FOLLOW_REFUSED:
		break;
	}
	return CLI_NOT_RUN;
}
