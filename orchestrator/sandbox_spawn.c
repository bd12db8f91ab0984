#include "orchestrator/sandbox_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "orchestrator/process_id.h"

#define SANDBOX_SPAWN_HIGH_FD 100 /* out of the way of the final numbers */
#define SANDBOX_SPAWN_FDS_MAX 16
#define SANDBOX_SPAWN_WAIT_MS 2000 /* for one that was killed */

/* What the child tells us before we go on. */
struct sandbox_spawn_result {
	int made[SANDBOX_SPAWN_MADE_MAX];
	int error;
};

/*
 * In a table of the child's own: fds become 0 … n-1, the program's descriptor
 * gets out of their way, all others close on exec. Returns the program's.
 */
static int sandbox_spawn_move_fds(const struct sandbox_spawn *s)
{
	const struct rlimit nofile = { s->nofile, s->nofile };
	int high[SANDBOX_SPAWN_FDS_MAX], exec_fd;

	if (unshare(CLONE_FILES) < 0)
		return -errno;
	exec_fd = fcntl(s->exec_fd, F_DUPFD_CLOEXEC, SANDBOX_SPAWN_HIGH_FD);
	if (exec_fd < 0)
		return -errno;
	for (size_t i = 0; i < s->n_fds; i++) {
		high[i] = fcntl(s->fds[i], F_DUPFD_CLOEXEC,
				SANDBOX_SPAWN_HIGH_FD);
		if (high[i] < 0)
			return -errno;
	}
	for (size_t i = 0; i < s->n_fds; i++) {
		if (dup2(high[i], (int)i) < 0)
			return -errno;
	}
	if (close_range((unsigned int)s->n_fds, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return -errno;
	/* Last, for the caller's table may be far larger. */
	if (setrlimit(RLIMIT_NOFILE, &nofile) < 0)
		return -errno;
	return exec_fd;
}

static void sandbox_spawn_reset_signals(void)
{
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void sandbox_spawn_child(const struct sandbox_spawn *s,
				struct sandbox_spawn_result *result)
{
	int r = 0;

	setsid(); /* a Ctrl-C in our terminal is for us alone */
	sandbox_spawn_reset_signals();
	if (s->prepare)
		r = s->prepare(s->ctx, result->made);
	if (r >= 0)
		r = sandbox_spawn_move_fds(s);
	if (r >= 0) {
		syscall(SYS_execveat, r, "", s->argv, s->env, AT_EMPTY_PATH);
		r = -errno;
	}
	result->error = r;
	_exit(1);
}

/*
 * clone3 without a stack returns twice, as fork does; VFORK holds us until
 * the child has exec'ed, so result is complete when it returns.
 */
static pid_t sandbox_spawn_clone(const struct sandbox_spawn *s, int *pidfd)
{
	struct clone_args args = {
		.flags = CLONE_VFORK | CLONE_FILES | CLONE_PIDFD |
			 s->namespaces,
		.pidfd = (uint64_t)(uintptr_t)pidfd,
		.exit_signal = SIGCHLD,
	};

	if (s->cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)s->cgroup_fd;
	}
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static void sandbox_spawn_take_made(struct sandbox_spawn_result *result,
				    struct sandbox_process *out)
{
	for (size_t i = 0; i < SANDBOX_SPAWN_MADE_MAX; i++)
		if (out)
			out->made[i] = result->made[i];
		else
			closep(&result->made[i]);
}

int sandbox_spawn(const struct sandbox_spawn *s, struct sandbox_process *out)
{
	struct sandbox_spawn_result *result;
	sigset_t all, old;
	pid_t pid;
	int pidfd = -1, r;

	result = mmap(NULL, sizeof(*result), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (result == MAP_FAILED)
		return -errno;
	for (size_t i = 0; i < SANDBOX_SPAWN_MADE_MAX; i++)
		result->made[i] = -1;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = sandbox_spawn_clone(s, &pidfd);
	if (pid == 0)
		sandbox_spawn_child(s, result);
	r = pid < 0 ? -errno : result->error;
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (!r)
		*out = (struct sandbox_process){
			.pid = pid,
			.pidfd = pidfd,
			.start = process_start_time(pid),
		};
	sandbox_spawn_take_made(result, r ? NULL : out);
	munmap(result, sizeof(*result));
	if (pid > 0 && r < 0) {
		waitpid(pid, NULL, 0);
		close(pidfd);
	}
	return r;
}

int sandbox_process_adopt(pid_t pid, uint64_t start,
			  struct sandbox_process *out)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	*out = (struct sandbox_process){ .pidfd = -1 };
	if (pidfd < 0)
		return -errno;
	/* Asked only now: what pidfd means cannot become another one. */
	if (!start || process_start_time(pid) != start) {
		close(pidfd);
		return -ESRCH;
	}
	*out = (struct sandbox_process){
		.pid = pid,
		.pidfd = pidfd,
		.start = start,
		.adopted = true,
	};
	for (size_t i = 0; i < SANDBOX_SPAWN_MADE_MAX; i++)
		out->made[i] = -1;
	return 0;
}

static bool sandbox_process_ended(const struct sandbox_process *p, int wait_ms)
{
	struct pollfd ended = { .fd = p->pidfd, .events = POLLIN };

	return poll(&ended, 1, wait_ms) > 0;
}

void sandbox_process_wait(struct sandbox_process *p)
{
	if (p->pid && p->adopted)
		(void)sandbox_process_ended(p, SANDBOX_SPAWN_WAIT_MS);
	else if (p->pid)
		waitpid(p->pid, NULL, 0);
	p->pid = 0;
}

int sandbox_process_reap(struct sandbox_process *p)
{
	int status = 0;

	if (p->adopted && !sandbox_process_ended(p, 0))
		return -1;
	if (!p->adopted && waitpid(p->pid, &status, WNOHANG) == 0)
		return -1;
	p->pid = 0;
	return status;
}
