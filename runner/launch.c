#include "runner/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "runner/command.h"
#include "runner/confine.h"
#include "runner/environment.h"
#include "runner/gate.h"
#include "runner/permit.h"

#define LAUNCH_OOM_SCORE_ADJ "500"

enum launch_step {
	LAUNCH_PREPARE,
	LAUNCH_USER,
	LAUNCH_CHDIR,
	LAUNCH_PERMIT_PATHS,
	LAUNCH_PERMIT_CALLS,
	LAUNCH_EXEC,
};

/* The ends that the child keeps. */
struct launch_child {
	int stdin_fd, stdout_fd, stderr_fd, status_fd, gate_fd;
};

static void launch_reset_signals(void)
{
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int launch_prepare(const struct launch_child *c)
{
	static const struct rlimit no_core = { 0, 0 };

	setsid();
	launch_reset_signals();
	if (dup2(c->stdin_fd, STDIN_FILENO) < 0 ||
	    dup2(c->stdout_fd, STDOUT_FILENO) < 0 ||
	    dup2(c->stderr_fd, STDERR_FILENO) < 0)
		return -errno;
	if (close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return -errno;
	if (setrlimit(RLIMIT_CORE, &no_core) < 0)
		return -errno;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

static int launch_confine(const struct limits *limits)
{
	int r = limits->no_pod ? 0 : confine();

	return r || !limits->on_host ? r : confine_on_host();
}

static int launch_limit(const struct limits *limits)
{
	const struct rlimit data = { limits->memory_bytes,
				     limits->memory_bytes };
	const struct rlimit processes = { limits->processes,
					  limits->processes };

	if (limits->memory_bytes && setrlimit(RLIMIT_DATA, &data) < 0)
		return -errno;
	if (limits->processes && setrlimit(RLIMIT_NPROC, &processes) < 0)
		return -errno;
	return 0;
}

/* When memory is short the kernel shall take the script, not the host. */
static void launch_offer_to_oom_killer(void)
{
	_cleanup_close_ int fd = open("/proc/self/oom_score_adj",
				      O_WRONLY | O_CLOEXEC);

	if (fd >= 0 &&
	    write(fd, LAUNCH_OOM_SCORE_ADJ, strlen(LAUNCH_OOM_SCORE_ADJ)) < 0)
		return;
}

static int launch_become(const struct assignment *a)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	const struct __user_cap_data_struct none[2] = { 0 };
	gid_t gid = (gid_t)a->gid;
	uid_t uid = (uid_t)a->uid;

	if (a->uid >= 0 &&
	    (setgroups(1, &gid) < 0 || setresgid(gid, gid, gid) < 0 ||
	     setresuid(uid, uid, uid) < 0))
		return -errno;
	/* Changing the user leaves the inheritable ones. */
	if (syscall(SYS_capset, &head, none) < 0)
		return -errno;
	/* Changing the user clears it, so it is set last. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	return 0;
}

static void launch_report(int status_fd, enum launch_step step, int error)
{
	struct launch_failure f = { (int)step, error };

	if (write(status_fd, &f, sizeof(f)) < 0)
		_exit(LAUNCH_EXIT_NOT_FOUND);
	_exit(LAUNCH_EXIT_NOT_STARTED);
}

/* Does not return where it succeeds. */
static void launch_permit(const struct assignment *a, const char *program,
			  const char *path, const struct launch_child *c)
{
	const struct permit_place place = {
		.work_dir = a->work_dir,
		.program = program,
		.path = path ? path : ENVIRONMENT_PATH,
		.ca_file = getenv("CRONIUM_CA_FILE"),
		.gate_fd = c->gate_fd,
	};
	int error, r;

	if (permit_is_open(&a->permit))
		return;
	r = permit_apply(&a->permit, &place, &error);
	if (r)
		launch_report(c->status_fd,
			      r == PERMIT_E_PATHS ? LAUNCH_PERMIT_PATHS
						  : LAUNCH_PERMIT_CALLS,
			      error);
}

/* In the child; does not return. */
static void launch_exec(const struct assignment *a, const struct limits *limits,
			char **env, const struct launch_child *c)
{
	const char *path = getenv("PATH"); /* which the job has no say in */
	char program[PATH_MAX];
	int r;

	launch_offer_to_oom_killer();
	r = launch_prepare(c);
	if (!r)
		r = launch_confine(limits);
	if (!r)
		r = launch_limit(limits);
	if (r < 0)
		launch_report(c->status_fd, LAUNCH_PREPARE, -r);
	r = launch_become(a);
	if (r < 0)
		launch_report(c->status_fd, LAUNCH_USER, -r);
	if (chdir(a->work_dir) < 0)
		launch_report(c->status_fd, LAUNCH_CHDIR, errno);
	environ = env; /* its PATH is searched */
	r = command_find(a->argv[0], getenv("PATH"), program);
	if (r < 0)
		launch_report(c->status_fd, LAUNCH_EXEC, -r);
	launch_permit(a, program, path, c);
	execv(program, (char *const *)a->argv);
	launch_report(c->status_fd, LAUNCH_EXEC, errno);
}

static int launch_pipe(int *read_end, int *write_end)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	*read_end = fds[0];
	*write_end = fds[1];
	if (fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static int launch_open(const struct assignment *a, struct launch *l,
		       struct launch_child *c)
{
	int r;

	c->stdin_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (c->stdin_fd < 0)
		return -errno;
	r = launch_pipe(&l->stdout_fd, &c->stdout_fd);
	if (!r)
		r = launch_pipe(&l->stderr_fd, &c->stderr_fd);
	if (!r)
		r = launch_pipe(&l->status_fd, &c->status_fd);
	if (!r && !permit_is_open(&a->permit))
		r = gate_pair(&l->gate_fd, &c->gate_fd);
	if (r < 0)
		return r;
	/* Only a matter of speed: refused beyond a user's share. */
	(void)fcntl(l->stdout_fd, F_SETPIPE_SZ, LAUNCH_PIPE_BYTES);
	(void)fcntl(l->stderr_fd, F_SETPIPE_SZ, LAUNCH_PIPE_BYTES);
	return 0;
}

int launch_script(const struct assignment *a, const struct limits *limits,
		  bool in_pod, struct launch *out)
{
	_cleanup_(environment_freep) char **env = NULL;
	struct launch_child c = { -1, -1, -1, -1, -1 };
	struct launch l = { -1, -1, -1, -1, -1 };
	int r = -ENOMEM;

	env = environment_new(a, in_pod);
	if (env)
		r = launch_open(a, &l, &c);
	if (!r) {
		l.pid = fork();
		if (l.pid == 0)
			launch_exec(a, limits, env, &c);
		if (l.pid < 0)
			r = -errno;
	}
	closep(&c.stdin_fd);
	closep(&c.stdout_fd);
	closep(&c.stderr_fd);
	closep(&c.status_fd);
	closep(&c.gate_fd);
	if (r < 0) {
		closep(&l.stdout_fd);
		closep(&l.stderr_fd);
		closep(&l.status_fd);
		closep(&l.gate_fd);
		return r;
	}
	*out = l;
	return 0;
}

int launch_explain(const struct assignment *a, const struct launch_failure *f,
		   char *err, size_t err_size)
{
	const char *command = a->argv[0];
	const char *where = strcmp(a->mode, "container") ? "on this host"
							 : "in this image";

	if (f->step == LAUNCH_EXEC && f->error == ENOENT) {
		snprintf(err, err_size,
			 "%s is not %s: install it there, or choose another "
			 "runtime%s",
			 command, where,
			 strcmp(a->mode, "container") ? "" : " or image");
		return LAUNCH_EXIT_NOT_FOUND;
	}
	if (f->step == LAUNCH_EXEC)
		snprintf(err, err_size, "cannot start %s: %s", command,
			 strerror(f->error));
	else if (f->step == LAUNCH_PERMIT_PATHS)
		permit_explain(&a->permit, PERMIT_E_PATHS, f->error, err,
			       err_size);
	else if (f->step == LAUNCH_PERMIT_CALLS)
		permit_explain(&a->permit, PERMIT_E_CALLS, f->error, err,
			       err_size);
	else if (f->step == LAUNCH_CHDIR)
		snprintf(err, err_size, "cannot enter %s: %s", a->work_dir,
			 strerror(f->error));
	else if (f->step == LAUNCH_USER)
		snprintf(err, err_size, "cannot become user %lld: %s",
			 (long long)a->uid, strerror(f->error));
	else
		snprintf(err, err_size, "cannot prepare the script: %s",
			 strerror(f->error));
	return LAUNCH_EXIT_NOT_STARTED;
}
