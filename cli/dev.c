#include "cli/dev.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "cli/command.h"
#include "cli/dev_assign.h"
#include "cli/dev_backend.h"
#include "cli/dev_log.h"
#include "cli/dev_place.h"
#include "cli/dev_script.h"
#include "cli/dev_sidecar.h"
#include "cli/dev_state.h"
#include "cli/output.h"
#include "cli/place.h"
#include "common/clock.h"

enum dev_stage {
	DEV_STARTING,
	DEV_ASSIGNING,
	DEV_RUNNING,
	DEV_DRAINING,
	DEV_DONE,
};

struct dev {
	const struct dev_config *config;
	struct dev_state *state;
	struct dev_result *result;
	enum dev_stage stage;
	int error; /* the run failed */
	struct event_base *base;
	struct event *signal_event, *timer;
	int signal_fd;
	sigset_t old_mask;
	struct dev_place place;
	struct dev_assign assign;
	struct dev_backend *backend;
	struct dev_sidecar *sidecar;
	char url[300];
	pid_t script; /* 0: none */
	unsigned int signals;
};

static UNUSED bool may_follow(enum dev_stage from, enum dev_stage to)
{
	return to == from + 1 || to == DEV_DONE;
}

static void set_stage(struct dev *d, enum dev_stage stage)
{
	assert(may_follow(d->stage, stage));
	d->stage = stage;
}

static void set_timer(struct dev *d, uint64_t ms)
{
	const struct timeval tv = clock_timeval(ms);

	event_add(d->timer, &tv);
}

static void done(struct dev *d)
{
	if (d->stage != DEV_DONE)
		set_stage(d, DEV_DONE);
	event_base_loopbreak(d->base);
}

static void fail(struct dev *d, int error, const char *what, const char *why)
{
	output_error("%s: %s", what, why);
	d->error = error;
	if (d->script)
		kill(d->script, SIGTERM);
	if (d->stage == DEV_RUNNING && d->script)
		set_timer(d, DEV_KILL_MS); /* it is waited for */
	else
		done(d);
}

/* --- the sidecar ---------------------------------------------------------- */

static void on_ready(const char *url, void *ctx)
{
	struct dev *d = ctx;
	struct buf *text = &d->assign.text, *input = &d->assign.input;
	int r;

	if (d->stage != DEV_STARTING)
		return;
	snprintf(d->url, sizeof(d->url), "%s", url);
	set_stage(d, DEV_ASSIGNING);
	r = dev_sidecar_assign(d->sidecar, text->data, text->len, input->data,
			       input->len);
	if (r < 0)
		fail(d, r, "cannot tell the sidecar its job", strerror(-r));
}

static void on_assigned(void *ctx)
{
	struct dev *d = ctx;
	const struct dev_script script = {
		.argv = d->config->argv,
		.api = d->url,
		.token = (char *)d->assign.runtime_token.data,
		.execution = d->assign.execution,
		.job = d->assign.job,
		.trace = d->assign.trace,
		.sdk_dir = d->config->sdk_dir,
		.modules_dir = d->place.modules,
		.stdout_is_ours = d->config->stdout_is_ours,
	};
	pid_t pid;

	if (d->stage != DEV_ASSIGNING)
		return;
	pid = dev_script_start(&script);
	if (pid < 0) {
		fail(d, pid, "cannot start the script", strerror(-pid));
		return;
	}
	d->script = pid;
	set_stage(d, DEV_RUNNING);
	event_del(d->timer);
	if (d->config->timeout_ms)
		set_timer(d, d->config->timeout_ms);
}

static int on_secret(const void *value, size_t len, void *ctx)
{
	struct dev *d = ctx;

	return dev_log_hide(d->state->log, value, len);
}

static void on_drained(void *ctx)
{
	struct dev *d = ctx;

	if (d->stage == DEV_DRAINING)
		done(d);
}

static void on_lost(const char *reason, void *ctx)
{
	struct dev *d = ctx;

	if (d->stage < DEV_DRAINING)
		fail(d, -EPIPE, "the sidecar has ended", reason);
	else
		done(d);
}

static const struct dev_sidecar_ops sidecar_ops = {
	.on_ready = on_ready,
	.on_assigned = on_assigned,
	.on_secret = on_secret,
	.on_drained = on_drained,
	.on_lost = on_lost,
};

/* --- the script ----------------------------------------------------------- */

static void on_script_end(struct dev *d, int status)
{
	d->script = 0;
	if (d->error) { /* the script was ended for it */
		done(d);
		return;
	}
	if (WIFSIGNALED(status))
		d->result->signal = WTERMSIG(status);
	d->result->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status)
						   : WEXITSTATUS(status);
	set_stage(d, DEV_DRAINING);
	set_timer(d, DEV_DRAIN_MS);
	if (dev_sidecar_drain(d->sidecar) < 0)
		done(d);
}

static void reap(struct dev *d)
{
	pid_t pid = dev_sidecar_pid(d->sidecar);
	int status;

	if (pid && waitpid(pid, &status, WNOHANG) == pid)
		dev_sidecar_reaped(d->sidecar); /* its stream tells the rest */
	if (d->script && waitpid(d->script, &status, WNOHANG) == d->script)
		on_script_end(d, status);
}

/* Nobody is to wait for one that does not listen. */
static void kill_script(struct dev *d, const char *why)
{
	output_warn("%s: the script is killed", why);
	kill(d->script, SIGKILL);
}

static void on_signal_for_script(struct dev *d,
				 const struct signalfd_siginfo *info)
{
	int number = (int)info->ssi_signo;

	/* From the terminal it came to the script as well. */
	if (info->ssi_code != SI_KERNEL)
		kill(d->script, number);
	if (number != SIGINT && number != SIGTERM && number != SIGQUIT)
		return;
	if (++d->signals == DEV_SIGNALS_MAX)
		kill_script(d, "signalled often enough");
	else if (d->signals == DEV_SIGNALS_MAX - 1)
		output_warn("the script has not ended; once more kills it");
}

static void on_signal(struct dev *d, const struct signalfd_siginfo *info)
{
	if (info->ssi_signo == SIGCHLD) {
		reap(d);
	} else if (d->script) {
		on_signal_for_script(d, info);
	} else if (d->stage < DEV_RUNNING) {
		d->result->exit_code = 128 + (int)info->ssi_signo;
		d->error = -EINTR;
		done(d);
	}
}

static void on_signal_fd(evutil_socket_t fd, short what, void *arg)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) == sizeof(info))
		on_signal(arg, &info);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct dev *d = arg;

	if (d->stage < DEV_RUNNING) {
		fail(d, -ETIMEDOUT, "the sidecar does not come up",
		     "it was given 20 s; is the machine very busy?");
	} else if (d->stage == DEV_DRAINING) {
		done(d);
	} else if (d->script && (d->result->timed_out || d->error)) {
		kill_script(d, "it does not end by SIGTERM");
	} else if (d->script) {
		output_warn("the script takes longer than --timeout");
		d->result->timed_out = true;
		kill(d->script, SIGTERM);
		set_timer(d, DEV_KILL_MS);
	}
}

/* --- set-up --------------------------------------------------------------- */

static int take_signals(struct dev *d)
{
	static const int numbers[] = { SIGINT,  SIGTERM, SIGHUP, SIGQUIT,
				       SIGUSR1, SIGUSR2, SIGCHLD };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		sigaddset(&set, numbers[i]);
	sigprocmask(SIG_BLOCK, &set, &d->old_mask);
	d->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return d->signal_fd < 0 ? -errno : 0;
}

static int set_up_loop(struct dev *d)
{
	int r = take_signals(d);

	if (r < 0)
		return r;
	d->base = event_base_new();
	if (!d->base)
		return -ENOMEM;
	d->timer = evtimer_new(d->base, on_timer, d);
	d->signal_event = event_new(d->base, d->signal_fd, EV_READ | EV_PERSIST,
				    on_signal_fd, d);
	if (!d->timer || !d->signal_event ||
	    event_add(d->signal_event, NULL) < 0)
		return -ENOMEM;
	set_timer(d, DEV_START_MS);
	return 0;
}

static int set_up(struct dev *d)
{
	char program[PATH_MAX];
	int r;

	if ((r = place_program("cronium-sidecar", program, sizeof(program)))) {
		output_error("cannot find the program cronium-sidecar; it "
			     "belongs beside cronium, in ../libexec/cronium or "
			     "in $PATH");
		return r;
	}
	if ((r = set_up_loop(d)) ||
	    (r = dev_place_make(&d->place, d->config->sdk_dir)) ||
	    (r = dev_assign_make(&d->assign, d->state, d->config->argv[0])) ||
	    (r = dev_backend_new(&d->backend, d->base, d->place.socket,
				 (char *)d->assign.backend_token.data,
				 d->state)) ||
	    (r = dev_sidecar_start(&d->sidecar, d->base, program,
				   d->place.socket, &sidecar_ops, d)))
		output_error("cannot make a runtime: %s", strerror(-r));
	return r;
}

static void tear_down(struct dev *d)
{
	dev_sidecar_free(d->sidecar);
	dev_backend_free(d->backend);
	if (d->timer)
		event_free(d->timer);
	if (d->signal_event)
		event_free(d->signal_event);
	if (d->base) {
		/* What was closed a moment ago is freed at the turn's end. */
		event_base_loop(d->base, EVLOOP_NONBLOCK);
		event_base_free(d->base);
	}
	dev_assign_deinit(&d->assign);
	dev_place_remove(&d->place);
	if (d->signal_fd >= 0)
		close(d->signal_fd);
	sigprocmask(SIG_SETMASK, &d->old_mask, NULL);
}

int dev_run(const struct dev_config *config, struct dev_state *state,
	    struct dev_result *out)
{
	struct dev d = {
		.config = config,
		.state = state,
		.result = out,
		.signal_fd = -1,
	};
	int r;

	*out = (struct dev_result){ .exit_code = CLI_NOT_RUN };
	sigemptyset(&d.old_mask);
	r = set_up(&d);
	if (!r && event_base_dispatch(d.base) < 0)
		r = -EIO;
	tear_down(&d);
	return r ? r : d.error;
}
