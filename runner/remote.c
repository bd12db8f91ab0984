#include "runner/remote.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/frame_stream.h"
#include "common/json.h"
#include "common/log.h"
#include "runner/keeper.h"
#include "runner/launch.h"
#include "runner/report.h"
#include "runner/runner.h"
#include "runner/told.h"

enum remote_state {
	REMOTE_READY,
	REMOTE_KEEPING,
	REMOTE_EXITED, /* EXIT was sent: the orchestrator closes */
	REMOTE_ENDED,
};

struct remote {
	enum remote_state state;
	struct event_base *base;
	struct runner_config config;
	struct keeper *keeper;
	struct frame_stream *outer; /* the orchestrator's */
	struct frame_stream *inner; /* the runner's; the keeper's own */
	struct told told;
	int exit_code;
};

static void remote_set_state(struct remote *s, enum remote_state state)
{
	assert(state > s->state);
	s->state = state;
}

static void remote_end(struct remote *s, const char *reason)
{
	if (s->state == REMOTE_ENDED)
		return;
	log_info("-", "ended: %s", reason);
	s->exit_code = s->state == REMOTE_EXITED ? EXIT_SUCCESS : EXIT_FAILURE;
	remote_set_state(s, REMOTE_ENDED);
	event_base_loopbreak(s->base);
}

/* From one stream to the other, which says when it has room again. */
static void remote_pass(struct remote *s, struct frame_stream *from,
			struct frame_stream *to, const struct frame *f)
{
	if (frame_stream_send(to, f->type, f->payload, f->len) == -ENOMEM)
		remote_end(s, "out of memory");
	else if (frame_stream_full(to))
		frame_stream_pause(from);
}

static void remote_refuse(struct remote *s, int exit_code, const char *error)
{
	struct report report = { 0 };
	struct buf b = { 0 };

	report_set_error(&report, exit_code, error);
	remote_set_state(s, REMOTE_EXITED);
	if (report_append(&report, &b) < 0 ||
	    frame_stream_send(s->outer, FRAME_EXIT, b.data, b.len) < 0)
		remote_end(s, "cannot say why the job does not start");
	buf_deinit(&b);
}

/* --- the runner's side ---------------------------------------------------- */

static void remote_on_inner_frame(struct frame_stream *inner,
				  const struct frame *f, void *ctx)
{
	struct remote *s = ctx;

	if (f->type == FRAME_READY)
		return; /* we have said so */
	if (f->type == FRAME_EXIT)
		remote_set_state(s, REMOTE_EXITED);
	remote_pass(s, inner, s->outer, f);
}

static void remote_on_inner_close(struct frame_stream *inner,
				  const char *reason, void *ctx)
{
	struct remote *s = ctx;

	/* After EXIT what is queued for the orchestrator must still go out. */
	if (s->state != REMOTE_EXITED)
		remote_end(s, "the runner died");
}

static void remote_on_inner_drain(struct frame_stream *inner, void *ctx)
{
	frame_stream_resume(((struct remote *)ctx)->outer);
}

static const struct frame_stream_ops remote_inner_ops = {
	.on_frame = remote_on_inner_frame,
	.on_close = remote_on_inner_close,
	.on_drain = remote_on_inner_drain,
};

/* --- the orchestrator's side ---------------------------------------------- */

static int remote_send_assign(struct remote *s, json_t *assign)
{
	struct buf b = { 0 };
	int r = 0;

	if (!json_get_str(assign, "work_dir", "")[0] &&
	    json_object_set_new(assign, "work_dir",
				json_string(keeper_work_dir(s->keeper))))
		r = -ENOMEM;
	if (!r)
		r = json_append(&b, assign);
	if (!r)
		r = frame_stream_send(s->inner, FRAME_ASSIGN, b.data, b.len);
	buf_deinit(&b);
	return r;
}

static void remote_accept_assign(struct remote *s, const struct frame *f)
{
	char error[REPORT_ERROR_BYTES];
	_cleanup_json_ json_t *assign = NULL;
	int r = -EINVAL;

	assign = json_parse_object(f->payload, f->len, error, sizeof(error));
	if (assign)
		r = keeper_new(&s->keeper, s->base, &s->config, error,
			       sizeof(error));
	if (!r)
		r = keeper_start(s->keeper, assign, false, &remote_inner_ops, s,
				 &s->inner, error, sizeof(error));
	if (r < 0) {
		remote_refuse(s, LAUNCH_EXIT_NOT_STARTED, error);
		return;
	}
	remote_set_state(s, REMOTE_KEEPING);
	if (remote_send_assign(s, assign) < 0)
		remote_end(s, "cannot hand the assignment on");
}

static void remote_on_outer_frame(struct frame_stream *outer,
				  const struct frame *f, void *ctx)
{
	struct remote *s = ctx;

	if (s->state == REMOTE_KEEPING)
		remote_pass(s, outer, s->inner, f);
	else if (s->state == REMOTE_READY && f->type == FRAME_ASSIGN)
		remote_accept_assign(s, f);
	else if (s->state == REMOTE_READY && f->type == FRAME_SIGNAL)
		remote_refuse(s, 128 + SIGTERM, "stopped before it started");
	else if (s->state == REMOTE_READY)
		remote_end(s, "the orchestrator sent a frame out of turn");
}

static void remote_on_outer_close(struct frame_stream *outer,
				  const char *reason, void *ctx)
{
	remote_end(ctx, reason);
}

static void remote_on_outer_drain(struct frame_stream *outer, void *ctx)
{
	struct remote *s = ctx;

	if (s->inner)
		frame_stream_resume(s->inner);
}

static const struct frame_stream_ops remote_outer_ops = {
	.on_frame = remote_on_outer_frame,
	.on_close = remote_on_outer_close,
	.on_drain = remote_on_outer_drain,
};

static void remote_on_told(int sig, pid_t sender, void *ctx)
{
	remote_end(ctx, strsignal(sig));
}

static int remote_init(struct remote *s)
{
	char ready[128];
	int r, n;

	signal(SIGPIPE, SIG_IGN);
	s->base = event_base_new();
	if (!s->base)
		return -ENOMEM;
	r = told_init(&s->told, s->base, remote_on_told, s);
	if (!r)
		r = frame_stream_new_pair(&s->outer, s->base, STDIN_FILENO,
					  STDOUT_FILENO, &remote_outer_ops, s);
	n = snprintf(ready, sizeof(ready), "{\"version\":\"%s\",\"pid\":%d}",
		     CRONIUM_VERSION, (int)getpid());
	if (!r)
		r = frame_stream_send(s->outer, FRAME_READY, ready, (size_t)n);
	return r;
}

int remote_run(const struct runner_config *config)
{
	struct remote s = { .config = *config, .told = TOLD_NONE };
	int r;

	/* PATH and LANG are the host's, as a pod's are its image's. */
	s.config.in_pod = true;
	r = remote_init(&s);

	if (r < 0) {
		log_error("-",
			  "cannot speak on stdin and stdout: %s: they "
			  "must be pipes or sockets",
			  strerror(-r));
		s.exit_code = EXIT_FAILURE;
	} else {
		event_base_dispatch(s.base);
	}
	keeper_free(s.keeper);
	frame_stream_close(s.outer);
	told_deinit(&s.told);
	if (s.base)
		event_base_free(s.base);
	return s.exit_code;
}
