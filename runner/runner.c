#include "runner/runner.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "runner/assignment.h"
#include "runner/gate.h"
#include "runner/launch.h"
#include "runner/line.h"
#include "runner/notice.h"
#include "runner/output.h"
#include "runner/program.h"
#include "runner/report.h"
#include "runner/told.h"
#include "runner/tree.h"
#include "runner/usage_beat.h"

#define RUNNER_KILL_MS 10000 /* then what the kernel cannot kill is left */
#define RUNNER_GRACE_MAX_MS (10 * 60 * 1000)

enum runner_state {
	RUNNER_READY,
	RUNNER_ASSIGNED,
	RUNNER_RUNNING,
	RUNNER_STOPPING,
	RUNNER_EXITED,
	RUNNER_GONE,
};

struct runner {
	enum runner_state state;
	struct event_base *base;
	struct line *line;
	struct event *on_child;
	struct event *started;  /* exec succeeded or failed */
	struct event *grace;    /* ends: SIGKILL to everything */
	struct event *patience; /* with processes that cannot be killed */
	struct runner_config config;
	struct assignment job;
	struct output out[2];
	struct gate *gate;             /* NULL where nothing is confined */
	struct usage_beat *usage_beat; /* while the script runs */
	int status_fd;
	struct told told;
	pid_t pid;  /* of the script; 0 before, and when it has ended */
	bool empty; /* no process of the script is left */
	struct report report;
	int exit_code; /* of this program */
};

static void runner_set_state(struct runner *r, enum runner_state state)
{
	assert(state > r->state);
	r->state = state;
}

static void runner_set_timer(struct event *timer, uint64_t ms)
{
	const struct timeval tv = clock_timeval(ms);

	event_add(timer, &tv);
}

/* Leaves nothing behind. */
static void runner_leave(struct runner *r, int exit_code)
{
	if (r->state != RUNNER_GONE)
		runner_set_state(r, RUNNER_GONE);
	r->exit_code = exit_code;
	tree_signal(SIGKILL);
	event_base_loopbreak(r->base);
}

/* Who is in charge of this job is gone, or cannot be trusted. */
static void runner_abandon(struct runner *r, const char *reason)
{
	log_error("-", "gave up: %s", reason);
	runner_leave(r, EXIT_FAILURE);
}

static void runner_send_exit(struct runner *r)
{
	struct buf b = { 0 };
	int e;

	e = report_append(&r->report, &b);
	if (!e)
		e = line_exit(r->line, b.data, b.len);
	buf_deinit(&b);
	/* A line that is lost says so through on_lost. */
	if (e < 0 && e != -EPIPE)
		runner_abandon(r, strerror(-e));
	else
		runner_set_state(r, RUNNER_EXITED);
}

/* False while the line is full: on_room comes back here. */
static bool runner_drain_output(struct runner *r, struct output *o)
{
	int e;

	do {
		e = output_pump(o, r->line);
	} while (e == OUTPUT_E_FULL && line_room(r->line));
	if (e == OUTPUT_E_FULL)
		return false;
	/* All writers are dead, so an empty pipe stays empty. */
	output_deinit(o);
	return true;
}

static void runner_step_stopping(struct runner *r)
{
	if (!r->empty)
		return;
	output_stop(&r->out[0]);
	output_stop(&r->out[1]);
	if (!runner_drain_output(r, &r->out[0]) ||
	    !runner_drain_output(r, &r->out[1]))
		return;
	event_del(r->grace);
	event_del(r->patience);
	if (output_tell_dropped(&r->out[1], r->line) < 0)
		log_error("-", "a notice is lost");
	runner_send_exit(r);
}

/* The script's exit ends the pod: its children do not outlive it. */
static void runner_stop(struct runner *r)
{
	bool main_ended = false;
	int status = 0;

	runner_set_state(r, RUNNER_STOPPING);
	usage_beat_stop(&r->usage_beat);
	tree_signal(SIGKILL);
	r->empty = !tree_reap(0, &main_ended, &status);
	runner_set_timer(r->patience, RUNNER_KILL_MS);
	runner_step_stopping(r);
}

static void runner_fail(struct runner *r, int exit_code, const char *error)
{
	report_set_error(&r->report, exit_code, error);
	runner_stop(r);
}

static void runner_on_patience(int fd, short what, void *ctx)
{
	struct runner *r = ctx;

	log_error("-", "some processes could not be killed in %d ms",
		  RUNNER_KILL_MS);
	r->empty = true;
	runner_step_stopping(r);
}

static void runner_step_child(struct runner *r)
{
	bool main_ended = false;
	int status = 0;

	r->empty = !tree_reap(r->pid, &main_ended, &status);
	if (main_ended) {
		r->pid = 0;
		report_set_status(&r->report, status);
	}
	if (r->state == RUNNER_STOPPING) {
		/* Outside a PID namespace a fork may have outrun the signal. */
		if (!r->empty && !tree_is_pid1())
			tree_signal(SIGKILL);
		runner_step_stopping(r);
	} else if (r->state == RUNNER_RUNNING && !r->pid && !r->started) {
		runner_stop(r);
	}
}

static void runner_on_child(int sig, short what, void *ctx)
{
	runner_step_child(ctx);
}

static void runner_on_output(int fd, short what, void *ctx)
{
	struct runner *r = ctx;
	struct output *o = fd == r->out[0].fd ? &r->out[0] : &r->out[1];
	int e = output_pump(o, r->line);

	if (e < 0 && e != -EPIPE)
		log_error("-", "lost output: %s", strerror(-e));
	if (!line_room(r->line)) {
		output_stop(&r->out[0]);
		output_stop(&r->out[1]);
	}
}

static void runner_start_output(struct runner *r)
{
	output_start(&r->out[0]);
	output_start(&r->out[1]);
}

static void runner_report_started(struct runner *r)
{
	r->report.started_us = clock_wall_ms() * 1000;
	usage_beat_start(&r->usage_beat, r->base, r->line,
			 r->config.own_cgroup);
	if (!line_started(r->line, r->pid))
		runner_start_output(r);
}

/* The status pipe ended, or tells why exec failed. */
static void runner_on_started(int fd, short what, void *ctx)
{
	struct runner *r = ctx;
	struct launch_failure f;
	char error[REPORT_ERROR_BYTES];
	ssize_t n = read(fd, &f, sizeof(f));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	event_free(r->started);
	r->started = NULL;
	if (r->state != RUNNER_RUNNING)
		return;
	if (n == (ssize_t)sizeof(f)) {
		int code = launch_explain(&r->job, &f, error, sizeof(error));

		runner_fail(r, code, error);
		return;
	}
	runner_report_started(r);
	if (!r->pid)
		runner_stop(r);
}

static void runner_on_notice(void *ctx, const char *text)
{
	struct runner *r = ctx;

	if (notice_send(r->line, text) < 0)
		log_error("-", "a notice is lost: %s", text);
}

static int runner_open_gate(struct runner *r, int fd)
{
	const struct gate_config config = {
		.base = r->base,
		.on_notice = runner_on_notice,
		.ctx = r,
		.uid = r->job.uid,
		.gid = r->job.gid,
	};

	return fd < 0 ? 0 : gate_new(&r->gate, fd, &config);
}

static int runner_watch(struct runner *r, const struct launch *l)
{
	int a, b;

	r->pid = l->pid;
	a = runner_open_gate(r, l->gate_fd);
	if (a < 0)
		return a;
	r->status_fd = l->status_fd;
	a = output_init(&r->out[0], r->base, l->stdout_fd, FRAME_STDOUT,
			runner_on_output, r);
	b = output_init(&r->out[1], r->base, l->stderr_fd, FRAME_STDERR,
			runner_on_output, r);
	r->out[1].max_bytes = r->job.max_stderr_bytes;
	r->started = event_new(r->base, l->status_fd, EV_READ | EV_PERSIST,
			       runner_on_started, r);
	if (a < 0 || b < 0 || !r->started || event_add(r->started, NULL) < 0)
		return -ENOMEM;
	return 0;
}

static void runner_launch(struct runner *r, const struct frame *script)
{
	char error[REPORT_ERROR_BYTES];
	struct launch l;
	int e;

	if (script->len != r->job.script_bytes) {
		runner_abandon(r, "SCRIPT is not as long as ASSIGN says");
		return;
	}
	e = program_put(&r->job, r->config.key, script->payload, script->len,
			error, sizeof(error));
	if (e < 0) {
		runner_fail(r, LAUNCH_EXIT_NOT_STARTED, error);
		return;
	}
	report_begin(&r->report);
	e = launch_script(&r->job, &r->config.limits, r->config.in_pod, &l);
	if (e < 0) {
		snprintf(error, sizeof(error), "cannot start a process: %s",
			 strerror(-e));
		runner_fail(r, LAUNCH_EXIT_NOT_STARTED, error);
		return;
	}
	runner_set_state(r, RUNNER_RUNNING);
	e = runner_watch(r, &l);
	if (e < 0)
		runner_abandon(r, strerror(-e));
}

static void runner_signal(struct runner *r, int sig, uint64_t grace_ms)
{
	if (r->state == RUNNER_RUNNING) {
		tree_signal(grace_ms ? sig : SIGKILL);
		/* One that is stopped could not use its grace. */
		tree_signal(SIGCONT);
		if (!event_pending(r->grace, EV_TIMEOUT, NULL))
			runner_set_timer(r->grace, grace_ms);
	} else if (r->state < RUNNER_RUNNING)
		runner_fail(r, 128 + sig, "stopped before it started");
}

static void runner_on_grace(int fd, short what, void *ctx)
{
	tree_signal(SIGKILL);
}

/* In a sandbox without root the script has our uid: its signals, unlike those
 * from outside the PID namespace, have a sender. */
static void runner_on_told(int sig, pid_t sender, void *ctx)
{
	struct runner *r = ctx;

	if (!tree_is_pid1() || !sender)
		runner_signal(r, sig, r->job.grace_ms);
}

static void runner_accept_assign(struct runner *r, const struct frame *f)
{
	char error[REPORT_ERROR_BYTES];

	runner_set_state(r, RUNNER_ASSIGNED);
	if (assignment_parse(&r->job, f->payload, f->len, error,
			     sizeof(error)) < 0)
		runner_fail(r, LAUNCH_EXIT_NOT_STARTED, error);
	else if (line_keep(r->line, r->job.keep_ms, r->job.execution,
			   r->job.token) < 0)
		runner_abandon(r, strerror(ENOMEM));
}

static void runner_accept_signal(struct runner *r, const struct frame *f)
{
	_cleanup_json_ json_t *o = json_parse_object(f->payload, f->len, NULL,
						     0);
	int64_t sig = json_get_int(o, "signal", 0);
	int64_t grace_ms = json_get_int(o, "grace_ms", 0);

	if (sig <= 0 || sig >= NSIG || grace_ms < 0)
		runner_abandon(r, "SIGNAL names no signal");
	else
		runner_signal(r, (int)sig,
			      (uint64_t)MIN(grace_ms, RUNNER_GRACE_MAX_MS));
}

static void runner_on_frame(const struct frame *f, void *ctx)
{
	struct runner *r = ctx;

	if (f->type == FRAME_SIGNAL)
		runner_accept_signal(r, f);
	else if (f->type == FRAME_DISMISS)
		runner_leave(r, EXIT_SUCCESS);
	else if (f->type == FRAME_ASSIGN && r->state == RUNNER_READY)
		runner_accept_assign(r, f);
	else if (f->type == FRAME_SCRIPT && r->state == RUNNER_ASSIGNED)
		runner_launch(r, f);
	else if (r->state < RUNNER_STOPPING)
		runner_abandon(r, "the orchestrator sent a frame out of turn");
}

static void runner_on_lost(const char *reason, void *ctx)
{
	struct runner *r = ctx;

	/* Without keep_ms that is how an orchestrator says DISMISS. */
	if (r->state == RUNNER_EXITED)
		runner_leave(r, EXIT_SUCCESS);
	else
		runner_abandon(r, reason);
}

static void runner_on_room(void *ctx)
{
	struct runner *r = ctx;

	if (r->state == RUNNER_ASSIGNED && line_is_away(r->line))
		runner_fail(r, LAUNCH_EXIT_NOT_STARTED,
			    "the orchestrator ended before it sent the "
			    "program");
	else if (r->state == RUNNER_STOPPING && r->empty)
		runner_step_stopping(r);
	else if (r->state == RUNNER_RUNNING && !r->started)
		runner_start_output(r);
}

static const struct line_ops runner_line_ops = {
	.on_frame = runner_on_frame,
	.on_room = runner_on_room,
	.on_lost = runner_on_lost,
};

static int runner_init(struct runner *r)
{
	int e;

	r->base = event_base_new();
	if (!r->base)
		return -ENOMEM;
	r->on_child = evsignal_new(r->base, SIGCHLD, runner_on_child, r);
	r->grace = evtimer_new(r->base, runner_on_grace, r);
	r->patience = evtimer_new(r->base, runner_on_patience, r);
	if (!r->on_child || !r->grace || !r->patience ||
	    event_add(r->on_child, NULL) < 0)
		return -ENOMEM;
	e = told_init(&r->told, r->base, runner_on_told, r);
	return e ? e : tree_init();
}

int runner_new(struct runner **out, int fd, const struct runner_config *config)
{
	_cleanup_(runner_freep) struct runner *r = calloc(1, sizeof(*r));
	int e;

	if (!r) {
		close(fd);
		return -ENOMEM;
	}
	r->out[0].fd = r->out[1].fd = r->status_fd = -1;
	r->told = TOLD_NONE;
	r->empty = true;
	r->config = *config;
	r->report.own_cgroup = config->own_cgroup;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	e = runner_init(r);
	if (e < 0)
		close(fd);
	else
		e = line_new(&r->line, r->base, fd, config->again,
			     &runner_line_ops, r);
	if (e < 0)
		return e;
	*out = r;
	r = NULL;
	return 0;
}

int runner_run(struct runner *r)
{
	event_base_dispatch(r->base);
	/* PID 1 takes its namespace along. */
	if (!tree_is_pid1())
		tree_kill_all(RUNNER_KILL_MS);
	return r->exit_code;
}

void runner_free(struct runner *r)
{
	if (!r)
		return;
	struct event *const events[] = {
		r->started,
		r->on_child,
		r->grace,
		r->patience,
	};

	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		if (events[i])
			event_free(events[i]);
	}
	output_deinit(&r->out[0]);
	output_deinit(&r->out[1]);
	gate_free(r->gate);
	closep(&r->status_fd);
	told_deinit(&r->told);
	usage_beat_stop(&r->usage_beat);
	line_free(r->line);
	assignment_deinit(&r->job);
	if (r->base)
		event_base_free(r->base);
	free(r);
}
