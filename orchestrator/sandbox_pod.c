#include "orchestrator/sandbox_pod.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "orchestrator/cgroup.h"
#include "orchestrator/sandbox_args.h"
#include "orchestrator/sandbox_net.h"
#include "orchestrator/sandbox_spawn.h"

#define SANDBOX_POD_REASON_BYTES 512
#define SANDBOX_POD_NOFILE 1024 /* descriptors a process of the pod */
#define SANDBOX_POD_RETRY_MS 2  /* while the kernel takes a cgroup down */
#define SANDBOX_POD_FREE_MAX_MS 2000
#define SANDBOX_POD_NOBODY 65534

enum sandbox_pod_state {
	SANDBOX_POD_CREATED,
	SANDBOX_POD_ANNOUNCED,
	SANDBOX_POD_DEAD,
	SANDBOX_POD_DESTROYING,
};

/* A process and its end of a control stream until that is handed over. */
struct sandbox_side {
	struct sandbox_process process;
	struct event *ended;
	int stream;
};

struct executor_pod {
	TAILQ_ENTRY(executor_pod) entry;
	enum sandbox_pod_state state;
	struct sandbox_shared *shared;
	struct cgroup *cgroup; /* NULL without cgroups */
	struct sandbox_side runner, sidecar;
	int errors_fd;      /* what bwrap and the runner complain of */
	struct event *turn; /* announce, then the retries of destroy */
	char reason[SANDBOX_POD_REASON_BYTES]; /* why it failed, or "" */
	const struct executor_events *events;
	void *ctx;
	void (*done)(void *ctx);
	void *done_ctx;
};

static void sandbox_pod_fail(struct executor_pod *pod, const char *what,
			     int error)
{
	snprintf(pod->reason, sizeof(pod->reason), "%s: %s", what,
		 strerror(error));
}

/* --- in the child -------------------------------------------------------- */

static int sandbox_pod_forbid_core(void)
{
	const struct rlimit none = { 0, 0 };

	return setrlimit(RLIMIT_CORE, &none) < 0 ? -errno : 0;
}

/* Returns the listening socket that the sidecar gets. */
static int sandbox_pod_prepare_runner(const void *ctx)
{
	const struct executor_pod *pod = ctx;
	const struct sandbox_shared *shared = pod->shared;
	int r;

	r = pod->cgroup ? cgroup_enter(pod->cgroup) : 0;
	if (!r && !shared->root)
		r = sandbox_net_map_ids(shared->uid, shared->gid);
	if (!r)
		r = sandbox_pod_forbid_core();
	return r < 0 ? r : sandbox_net_listen();
}

/* It reads what a script sends, so it has no right that it does not need. */
static int sandbox_pod_prepare_sidecar(const void *ctx)
{
	const struct executor_pod *pod = ctx;
	const uid_t nobody = SANDBOX_POD_NOBODY;
	int r;

	r = sandbox_pod_forbid_core();
	if (r < 0)
		return r;
	if (pod->shared->root &&
	    (setgroups(0, NULL) < 0 || setresgid(nobody, nobody, nobody) < 0 ||
	     setresuid(nobody, nobody, nobody) < 0))
		return -errno;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	return 0;
}

/* --- creation ------------------------------------------------------------ */

static const char *const sandbox_pod_env[] = {
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"LANG=C.UTF-8",
	NULL,
};

/* Our end stays with the side, the other one is for its process. */
static int sandbox_side_connect(struct sandbox_side *side, int *theirs)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	side->stream = fds[0];
	*theirs = fds[1];
	return 0;
}

static int sandbox_pod_open_seccomp(const struct sandbox_shared *shared)
{
	char path[64];

	/* Not a dup: that would share the position of all readers. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", shared->seccomp_fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int sandbox_pod_make_cgroup(struct executor_pod *pod,
				   const struct executor_spec *spec)
{
	const struct cgroup_limits limits = {
		.memory_bytes = spec->memory_bytes,
		.pids = spec->pids,
		.cpu_milli = spec->cpu_milli,
	};

	if (!pod->shared->cgroups)
		return 0;
	return cgroup_new(&pod->cgroup, pod->shared->cgroups, spec->pod,
			  &limits);
}

static int sandbox_pod_make_args(const struct executor_pod *pod,
				 const struct executor_spec *spec,
				 struct sandbox_args *args)
{
	const struct sandbox_shared *shared = pod->shared;
	unsigned int enforced =
		pod->cgroup ? cgroup_root_controllers(shared->cgroups) : 0;
	const struct sandbox_args_spec args_spec = {
		.run_dir = shared->run_dir,
		.sdk_dir = shared->sdk_dir,
		.root = shared->root,
		.memory_bytes = enforced & CGROUP_MEMORY ? 0
							 : spec->memory_bytes,
		.pids = enforced & CGROUP_PIDS ? 0 : spec->pids,
	};

	return sandbox_args_init(args, &args_spec);
}

/* Starts bwrap; the listening socket of its namespace in *listen_fd. */
static int sandbox_pod_start_runner(struct executor_pod *pod,
				    const struct executor_spec *spec,
				    int errors, int *listen_fd)
{
	const struct sandbox_shared *shared = pod->shared;
	_cleanup_close_ int control = -1, seccomp = -1;
	struct sandbox_args args;
	int r;

	r = sandbox_pod_make_args(pod, spec, &args);
	if (!r)
		r = sandbox_side_connect(&pod->runner, &control);
	if (r < 0)
		return r;
	seccomp = sandbox_pod_open_seccomp(shared);
	if (seccomp < 0)
		return -errno;
	r = sandbox_spawn(
		&(struct sandbox_spawn){
			.exec_fd = shared->bwrap_fd,
			.argv = args.items,
			.env = sandbox_pod_env,
			.fds = (int[]){ shared->null_fd, shared->null_fd,
					errors, control, seccomp },
			.n_fds = 5,
			.namespaces = sandbox_net_namespaces(shared->root),
			.cgroup_fd = pod->cgroup ? cgroup_clone_fd(pod->cgroup)
						 : -1,
			.nofile = SANDBOX_POD_NOFILE,
			.prepare = sandbox_pod_prepare_runner,
			.ctx = pod,
		},
		&pod->runner.process);
	if (!r)
		*listen_fd = pod->runner.process.value;
	return r;
}

static int sandbox_pod_start_sidecar(struct executor_pod *pod, int listen_fd)
{
	/* By descriptor, for its user may not enter the directories above. */
	static const char *const argv[] = {
		"cronium-sidecar",
		"--listen",
		"fd:3",
		"--control",
		"fd:4",
		"--backend",
		"unix:/proc/self/fd/5/backend.sock",
		NULL,
	};
	const struct sandbox_shared *shared = pod->shared;
	_cleanup_close_ int control = -1;
	int r;

	r = sandbox_side_connect(&pod->sidecar, &control);
	if (r < 0)
		return r;
	return sandbox_spawn(
		&(struct sandbox_spawn){
			.exec_fd = shared->sidecar_fd,
			.argv = argv,
			.env = sandbox_pod_env,
			.fds = (int[]){ shared->null_fd, shared->null_fd,
					STDERR_FILENO, listen_fd, control,
					shared->backend_fd },
			.n_fds = 6,
			.cgroup_fd = -1,
			.nofile = SANDBOX_POD_NOFILE,
			.prepare = sandbox_pod_prepare_sidecar,
			.ctx = pod,
		},
		&pod->sidecar.process);
}

static void sandbox_pod_start(struct executor_pod *pod,
			      const struct executor_spec *spec)
{
	_cleanup_close_ int errors = -1, listen_fd = -1;
	int fds[2], r;

	r = sandbox_pod_make_cgroup(pod, spec);
	if (r < 0) {
		sandbox_pod_fail(pod, "cannot make the sandbox's cgroup", -r);
		return;
	}
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
		sandbox_pod_fail(pod, "cannot make a pipe", errno);
		return;
	}
	pod->errors_fd = fds[0];
	errors = fds[1];
	r = sandbox_pod_start_runner(pod, spec, errors, &listen_fd);
	if (r < 0) {
		sandbox_pod_fail(pod,
				 "cannot start a sandbox (\"cronium doctor\" "
				 "says what this host lacks)",
				 -r);
		return;
	}
	r = sandbox_pod_start_sidecar(pod, listen_fd);
	if (r < 0)
		sandbox_pod_fail(pod, "cannot start the sidecar", -r);
}

/* --- life ---------------------------------------------------------------- */

static void sandbox_pod_set_turn(struct executor_pod *pod, long ms)
{
	const struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(pod->turn, &tv);
}

static void sandbox_pod_kill_all(struct executor_pod *pod)
{
	if (pod->cgroup)
		cgroup_kill(pod->cgroup);
	/* Its child, PID 1 of the namespace, dies with it, and all others with
	 * that. */
	if (pod->runner.process.pid)
		kill(pod->runner.process.pid, SIGKILL);
}

static void sandbox_pod_die(struct executor_pod *pod)
{
	if (pod->state >= SANDBOX_POD_DEAD)
		return;
	pod->state = SANDBOX_POD_DEAD;
	sandbox_pod_kill_all(pod);
	pod->events->on_failed(pod->ctx, pod->reason);
}

static void sandbox_side_hand_over(struct executor_pod *pod,
				   enum executor_side which)
{
	struct sandbox_side *side = which == EXECUTOR_RUNNER ? &pod->runner
							     : &pod->sidecar;
	int fd = side->stream;

	side->stream = -1;
	pod->events->on_stream(pod->ctx, which, fd);
}

/* The receiver may destroy the pod from any of these calls. */
static void sandbox_pod_announce(struct executor_pod *pod)
{
	if (pod->reason[0]) {
		sandbox_pod_die(pod);
		return;
	}
	pod->state = SANDBOX_POD_ANNOUNCED;
	sandbox_side_hand_over(pod, EXECUTOR_SIDECAR);
	if (pod->state == SANDBOX_POD_ANNOUNCED)
		sandbox_side_hand_over(pod, EXECUTOR_RUNNER);
}

/* The last line that bwrap or the runner wrote, if any. */
static void sandbox_pod_read_errors(struct executor_pod *pod, char *line,
				    size_t size)
{
	ssize_t n, got = 0;
	char *last;

	while ((n = read(pod->errors_fd, line, size - 1)) > 0)
		got = n;
	line[got] = '\0';
	while (got && line[got - 1] == '\n')
		line[--got] = '\0';
	last = strrchr(line, '\n');
	if (last)
		memmove(line, last + 1, strlen(last));
}

static void sandbox_pod_runner_ended(struct executor_pod *pod, int status)
{
	char line[256];

	sandbox_pod_read_errors(pod, line, sizeof(line));
	snprintf(pod->reason, sizeof(pod->reason),
		 "the sandbox ended by %s %d%s%s",
		 WIFSIGNALED(status) ? "signal" : "exit code",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
		 line[0] ? ": " : "", line);
}

static void sandbox_pod_sidecar_ended(struct executor_pod *pod, int status)
{
	snprintf(pod->reason, sizeof(pod->reason),
		 "the sidecar ended by %s %d: its log says why",
		 WIFSIGNALED(status) ? "signal" : "exit code",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void sandbox_pod_step_destroy(struct executor_pod *pod);

static void sandbox_pod_on_ended(struct executor_pod *pod,
				 struct sandbox_side *side)
{
	int status = sandbox_process_reap(&side->process);

	if (status < 0)
		return;
	event_del(side->ended);
	if (pod->state == SANDBOX_POD_DESTROYING) {
		sandbox_pod_step_destroy(pod);
		return;
	}
	if (side == &pod->runner)
		sandbox_pod_runner_ended(pod, status);
	else
		sandbox_pod_sidecar_ended(pod, status);
	/* Not before it was announced: on_stream comes first, then this. */
	if (pod->state == SANDBOX_POD_ANNOUNCED)
		sandbox_pod_die(pod);
}

static void sandbox_pod_on_runner_ended(int fd, short what, void *ctx)
{
	struct executor_pod *pod = ctx;

	sandbox_pod_on_ended(pod, &pod->runner);
}

static void sandbox_pod_on_sidecar_ended(int fd, short what, void *ctx)
{
	struct executor_pod *pod = ctx;

	sandbox_pod_on_ended(pod, &pod->sidecar);
}

static void sandbox_pod_on_turn(int fd, short what, void *ctx)
{
	struct executor_pod *pod = ctx;

	if (pod->state == SANDBOX_POD_DESTROYING)
		sandbox_pod_step_destroy(pod);
	else
		sandbox_pod_announce(pod);
}

static int sandbox_side_watch(struct executor_pod *pod,
			      struct sandbox_side *side,
			      void (*on_ended)(int, short, void *))
{
	if (!side->process.pid)
		return 0;
	side->ended = event_new(pod->shared->base, side->process.pidfd,
				EV_READ | EV_PERSIST, on_ended, pod);
	if (!side->ended || event_add(side->ended, NULL) < 0)
		return -ENOMEM;
	return 0;
}

int sandbox_pod_new(struct sandbox_shared *shared,
		    const struct executor_spec *spec,
		    const struct executor_events *events, void *ctx,
		    struct executor_pod **out)
{
	struct executor_pod *pod = calloc(1, sizeof(*pod));

	if (!pod)
		return -ENOMEM;
	pod->shared = shared;
	pod->events = events;
	pod->ctx = ctx;
	pod->errors_fd = pod->runner.stream = pod->sidecar.stream = -1;
	pod->runner.process.pidfd = pod->sidecar.process.pidfd = -1;
	TAILQ_INSERT_TAIL(&shared->pods, pod, entry);
	pod->turn = evtimer_new(shared->base, sandbox_pod_on_turn, pod);
	if (!pod->turn) {
		sandbox_pod_free(pod);
		return -ENOMEM;
	}
	if (spec->egress)
		snprintf(pod->reason, sizeof(pod->reason),
			 "a sandbox has no way to the network: run the job "
			 "with the docker executor or with network none");
	else
		sandbox_pod_start(pod, spec);
	if (sandbox_side_watch(pod, &pod->runner, sandbox_pod_on_runner_ended) <
		    0 ||
	    sandbox_side_watch(pod, &pod->sidecar,
			       sandbox_pod_on_sidecar_ended) < 0) {
		sandbox_pod_free(pod);
		return -ENOMEM;
	}
	sandbox_pod_set_turn(pod, 0);
	*out = pod;
	return 0;
}

const struct sandbox_shared *sandbox_pod_shared(const struct executor_pod *pod)
{
	return pod->shared;
}

void sandbox_pod_kill(struct executor_pod *pod)
{
	/* The end of the runner's stream tells the rest. */
	if (pod->state < SANDBOX_POD_DEAD)
		pod->state = SANDBOX_POD_DEAD;
	sandbox_pod_kill_all(pod);
}

bool sandbox_pod_oom_killed(struct executor_pod *pod)
{
	return pod->cgroup && cgroup_oom_killed(pod->cgroup);
}

/* --- the end ------------------------------------------------------------- */

static void sandbox_side_deinit(struct sandbox_side *side)
{
	if (side->ended)
		event_free(side->ended);
	closep(&side->stream);
	closep(&side->process.pidfd);
}

static void sandbox_pod_release(struct executor_pod *pod)
{
	TAILQ_REMOVE(&pod->shared->pods, pod, entry);
	sandbox_side_deinit(&pod->runner);
	sandbox_side_deinit(&pod->sidecar);
	closep(&pod->errors_fd);
	cgroup_free(pod->cgroup);
	if (pod->turn)
		event_free(pod->turn);
	free(pod);
}

/* Kills whatever is left; true when nothing is. */
static bool sandbox_pod_gone(struct executor_pod *pod)
{
	if (pod->sidecar.process.pid)
		kill(pod->sidecar.process.pid, SIGKILL);
	sandbox_pod_kill_all(pod);
	if (pod->runner.process.pid || pod->sidecar.process.pid)
		return false;
	return !pod->cgroup || cgroup_remove(pod->cgroup);
}

static void sandbox_pod_step_destroy(struct executor_pod *pod)
{
	void (*done)(void *ctx) = pod->done;
	void *ctx = pod->done_ctx;

	if (sandbox_pod_gone(pod)) {
		sandbox_pod_release(pod);
		if (done)
			done(ctx);
	} else if (!pod->runner.process.pid && !pod->sidecar.process.pid) {
		/* No event tells when the kernel has emptied a cgroup. */
		sandbox_pod_set_turn(pod, SANDBOX_POD_RETRY_MS);
	}
}

void sandbox_pod_destroy(struct executor_pod *pod, void (*done)(void *ctx),
			 void *ctx)
{
	pod->state = SANDBOX_POD_DESTROYING;
	pod->done = done;
	pod->done_ctx = ctx;
	sandbox_pod_set_turn(pod, 0);
}

static void sandbox_side_wait(struct sandbox_side *side)
{
	if (!side->process.pid)
		return;
	waitpid(side->process.pid, NULL, 0);
	side->process.pid = 0;
}

void sandbox_pod_free(struct executor_pod *pod)
{
	int ms = 0;

	while (!sandbox_pod_gone(pod) && ms < SANDBOX_POD_FREE_MAX_MS) {
		sandbox_side_wait(&pod->runner);
		sandbox_side_wait(&pod->sidecar);
		usleep(SANDBOX_POD_RETRY_MS * 1000);
		ms += SANDBOX_POD_RETRY_MS;
	}
	sandbox_pod_release(pod);
}
