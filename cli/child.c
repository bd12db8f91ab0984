#include "cli/child.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/log.h"

/*
 *   STOPPED ─▶ RUNNING ─▶ WAITING (to be started again) ─▶ RUNNING
 *      ▲          └──────────┴──▶ STOPPING ─▶ STOPPED
 *      └──(ended by itself, and is not wanted again)
 */
enum child_state {
	CHILD_STOPPED,
	CHILD_RUNNING,
	CHILD_WAITING,
	CHILD_STOPPING,
};

struct child {
	struct child_config config;
	enum child_state state;
	pid_t pid; /* 0: none */
	unsigned int starts;
	uint64_t started_ms;
	uint32_t backoff_ms;
	struct event *timer; /* WAITING: start; STOPPING: kill, or tell */
};

static void child_on_timer(evutil_socket_t fd, short what, void *arg);

int child_new(struct child **out, struct event_base *base,
	      const struct child_config *config)
{
	struct child *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->config = *config;
	c->backoff_ms = CHILD_BACKOFF_MIN_MS;
	c->timer = event_new(base, -1, 0, child_on_timer, c);
	if (!c->timer) {
		free(c);
		return -ENOMEM;
	}
	*out = c;
	return 0;
}

void child_free(struct child *c)
{
	if (!c)
		return;
	if (c->pid) {
		kill(c->pid, SIGKILL);
		waitpid(c->pid, NULL, 0);
	}
	event_free(c->timer);
	free(c);
}

static void child_set_timer(struct child *c, uint32_t ms)
{
	const struct timeval tv = clock_timeval(ms);

	event_add(c->timer, &tv);
}

static void child_exec(const struct child *c, pid_t parent)
{
	sigset_t none;

	/* A group of its own: Ctrl-C reaches us alone, and we stop in order. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, c->config.death_signal ?: SIGTERM);
	if (getppid() != parent)
		_exit(0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	execv(c->config.program, (char *const *)c->config.argv);
	log_error(c->config.name, "cannot run %s: %s", c->config.program,
		  strerror(errno));
	_exit(127);
}

int child_start(struct child *c)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid)
		child_exec(c, parent);
	c->pid = pid;
	c->state = CHILD_RUNNING;
	c->started_ms = clock_mono_ms();
	c->starts++;
	log_info(c->config.name, "started, pid %d", (int)pid);
	return 0;
}

void child_stop(struct child *c)
{
	if (c->state == CHILD_STOPPING)
		return;
	c->state = CHILD_STOPPING;
	if (c->pid)
		kill(c->pid, SIGTERM);
	child_set_timer(c, c->pid ? c->config.stop_ms : 0);
}

void child_signal(struct child *c, int number)
{
	if (c && c->pid)
		kill(c->pid, number);
}

static void child_restart(struct child *c)
{
	int r = child_start(c);

	if (r < 0) {
		log_error(c->config.name, "cannot start: %s", strerror(-r));
		c->state = CHILD_WAITING;
		child_set_timer(c, CHILD_BACKOFF_MAX_MS);
	}
}

static void child_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;

	if (c->state == CHILD_WAITING) {
		child_restart(c);
		return;
	}
	if (c->state != CHILD_STOPPING)
		return;
	if (c->pid) {
		log_warn(c->config.name, "does not stop; it is killed");
		kill(c->pid, SIGKILL);
		return;
	}
	c->state = CHILD_STOPPED;
	c->config.on_stopped(c, c->config.ctx);
}

bool child_reaped(struct child *c, pid_t pid, int status)
{
	char text[64];

	if (!c || pid != c->pid)
		return false;
	c->pid = 0;
	child_status_text(status, text, sizeof(text));
	if (c->state == CHILD_STOPPING) {
		log_info(c->config.name, "stopped: %s", text);
		child_set_timer(c, 0);
		return true;
	}
	c->state = CHILD_STOPPED;
	if (!c->config.on_exit(c, status, c->starts == 1, c->config.ctx))
		return true;
	if (clock_mono_ms() - c->started_ms >= CHILD_STABLE_MS)
		c->backoff_ms = CHILD_BACKOFF_MIN_MS;
	log_error(c->config.name, "ended: %s; it is started again in %u ms",
		  text, c->backoff_ms);
	c->state = CHILD_WAITING;
	child_set_timer(c, c->backoff_ms);
	c->backoff_ms = MIN(c->backoff_ms * 2, CHILD_BACKOFF_MAX_MS);
	return true;
}

const char *child_status_text(int status, char *out, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(out, size, "signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(out, size, "exit code %d", WEXITSTATUS(status));
	return out;
}
