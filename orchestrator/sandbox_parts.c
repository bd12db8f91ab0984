#include "orchestrator/sandbox_parts.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "orchestrator/cgroup.h"
#include "orchestrator/pod_dir.h"
#include "orchestrator/process_id.h"
#include "orchestrator/program.h"
#include "orchestrator/runtime.h"
#include "orchestrator/sandbox_args.h"
#include "orchestrator/sandbox_net.h"
#include "orchestrator/sidecar_process.h"

#define SANDBOX_PARTS_NOFILE 1024 /* descriptors a process of the pod */

/* --- in the child -------------------------------------------------------- */

static int sandbox_parts_listen(const struct sandbox_parts *parts,
				int made[SANDBOX_SPAWN_MADE_MAX])
{
	int r = sandbox_net_loopback_up();

	if (!r)
		r = made[0] = sandbox_net_listen(SANDBOX_NET_PORT);
	if (r >= 0 && parts->door >= 0)
		r = made[1] = sandbox_net_listen(SANDBOX_NET_PROXY_PORT);
	return r < 0 ? r : 0;
}

/* Makes the listening sockets that the sidecar gets. */
static int sandbox_parts_prepare_runner(const void *ctx,
					int made[SANDBOX_SPAWN_MADE_MAX])
{
	const struct sandbox_parts *parts = ctx;
	const struct sandbox_shared *shared = parts->shared;
	const struct rlimit none = { 0, 0 };
	int r;

	r = parts->runner.cgroup ? cgroup_enter(parts->runner.cgroup) : 0;
	if (!r && !shared->root)
		r = sandbox_net_map_ids(shared->uid, shared->gid);
	if (!r && setrlimit(RLIMIT_CORE, &none) < 0)
		r = -errno;
	return r < 0 ? r : sandbox_parts_listen(parts, made);
}

/* --- creation ------------------------------------------------------------ */

static const char *const sandbox_parts_env[] = {
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

static int sandbox_side_cgroup_fd(const struct sandbox_side *side)
{
	return side->cgroup ? cgroup_clone_fd(side->cgroup) : -1;
}

static int sandbox_parts_open_seccomp(const struct sandbox_shared *shared)
{
	char path[64];

	/* Not a dup: that would share the position of all readers. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", shared->seccomp_fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int sandbox_parts_make_cgroup(struct sandbox_parts *parts,
				     const struct executor_spec *spec)
{
	const struct cgroup_limits limits = {
		.memory_bytes = spec->memory_bytes,
		.pids = spec->pids,
		.cpu_milli = spec->cpu_milli,
	};

	if (!parts->shared->cgroups)
		return 0;
	return cgroup_new(&parts->runner.cgroup, parts->shared->cgroups,
			  spec->pod, &limits);
}

/* Beside the pod's: what a script makes its sidecar do is bounded too, but
 * not taken from what the job was promised. */
static int sandbox_parts_make_sidecar_cgroup(struct sandbox_parts *parts,
					     const struct executor_spec *spec)
{
	char name[SANDBOX_CGROUP_NAME_BYTES];

	if (!parts->shared->cgroups)
		return 0;
	sandbox_parts_sidecar_cgroup(spec->pod, name);
	return cgroup_new(&parts->sidecar.cgroup, parts->shared->cgroups, name,
			  &sidecar_process_limits);
}

static int sandbox_parts_make_args(const struct sandbox_parts *parts,
				   const struct executor_spec *spec,
				   const char *program,
				   struct sandbox_args *args)
{
	const struct sandbox_shared *shared = parts->shared;
	unsigned int enforced =
		shared->cgroups ? cgroup_root_controllers(shared->cgroups) : 0;
	const struct sandbox_args_spec args_spec = {
		.run_dir = shared->run_dir,
		.sdk_dir = shared->sdk_dir,
		.program = program[0] ? program : NULL,
		.program_name = runtime_program(spec->runtime),
		.payload_key = spec->payload_key ?: "",
		.root = shared->root,
		.shares = spec->shares ? shared->shares : NULL,
		.processes = spec->processes,
		.memory_bytes = enforced & CGROUP_MEMORY ? 0
							 : spec->memory_bytes,
		.pids = enforced & CGROUP_PIDS ? 0 : spec->pids,
	};

	return sandbox_args_init(args, &args_spec);
}

/* Where a side finds the next one of us; each has a directory of its own. */
static int sandbox_parts_open_dir(const struct sandbox_parts *parts,
				  const char *pod, const char *side)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/pods/%s/%s", parts->shared->run_dir,
		 pod, side);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Starts bwrap; what prepare made is in its process. */
static int sandbox_parts_start_runner(struct sandbox_parts *parts,
				      const struct executor_spec *spec,
				      const char *program, int errors)
{
	const struct sandbox_shared *shared = parts->shared;
	_cleanup_close_ int control = -1, seccomp = -1, again = -1;
	struct sandbox_args args;
	int r;

	r = sandbox_parts_make_args(parts, spec, program, &args);
	if (!r)
		r = sandbox_side_connect(&parts->runner, &control);
	if (r < 0)
		return r;
	seccomp = sandbox_parts_open_seccomp(shared);
	if (seccomp < 0)
		return -errno;
	again = sandbox_parts_open_dir(parts, spec->pod, "runner");
	if (again < 0)
		return again;
	return sandbox_spawn(
		&(struct sandbox_spawn){
			.exec_fd = shared->bwrap_fd,
			.argv = args.items,
			.env = sandbox_parts_env,
			.fds = (int[]){ shared->null_fd, shared->null_fd,
					errors, control, seccomp, again },
			.n_fds = 6,
			.namespaces = sandbox_net_namespaces(shared->root),
			.cgroup_fd = sandbox_side_cgroup_fd(&parts->runner),
			.nofile = SANDBOX_PARTS_NOFILE,
			.prepare = sandbox_parts_prepare_runner,
			.ctx = parts,
		},
		&parts->runner.process);
}

/* Our end stays with the parts, *theirs is the sidecar's. */
static int sandbox_parts_open_door(struct sandbox_parts *parts, int *theirs)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	parts->door = fds[0];
	*theirs = fds[1];
	return 0;
}

static int sandbox_parts_start_sidecar(struct sandbox_parts *parts,
				       const char *pod, int listen_fd,
				       int proxy_fd, int door_fd)
{
	const struct sandbox_shared *shared = parts->shared;
	_cleanup_close_ int again = sandbox_parts_open_dir(parts, pod,
							   "sidecar");
	const struct sidecar_process_spec spec = {
		.exec_fd = shared->sidecar_fd,
		.null_fd = shared->null_fd,
		.backend_fd = shared->backend_fd,
		.listen_fd = listen_fd,
		.proxy_fd = proxy_fd,
		.door_fd = door_fd,
		.again_fd = again,
		.log_level = shared->log_level,
		.log_format = shared->log_format,
		.root = shared->root,
		.cgroup = parts->sidecar.cgroup,
	};

	if (again < 0)
		return again;
	return sidecar_process_start(&spec, &parts->sidecar.process,
				     &parts->sidecar.stream);
}

static int sandbox_parts_start_both(struct sandbox_parts *parts,
				    const struct executor_spec *spec,
				    const char *program, const char **what)
{
	_cleanup_close_ int errors = -1, listen_fd = -1, proxy_fd = -1;
	_cleanup_close_ int door_fd = -1;
	int fds[2], r;

	*what = "cannot make the pod's directory";
	r = pod_dir_make(parts->shared->run_dir, spec->pod);
	if (r < 0)
		return r;
	*what = "cannot make the sandbox's cgroup";
	r = sandbox_parts_make_cgroup(parts, spec);
	if (r < 0)
		return r;
	*what = "cannot start a sandbox (\"cronium doctor\" says what this "
		"host lacks)";
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	parts->errors_fd = fds[0];
	errors = fds[1];
	r = spec->proxy ? sandbox_parts_open_door(parts, &door_fd) : 0;
	if (!r)
		r = sandbox_parts_start_runner(parts, spec, program, errors);
	if (r < 0)
		return r;
	listen_fd = parts->runner.process.made[0];
	proxy_fd = parts->runner.process.made[1];
	/* Only now: it costs nothing while bwrap is at work. */
	*what = "cannot make the sidecar's cgroup";
	r = sandbox_parts_make_sidecar_cgroup(parts, spec);
	if (r < 0)
		return r;
	*what = "cannot start the sidecar";
	return sandbox_parts_start_sidecar(parts, spec->pod, listen_fd,
					   proxy_fd, door_fd);
}

int sandbox_parts_start(struct sandbox_parts *parts,
			const struct executor_spec *spec,
			char reason[SANDBOX_PARTS_REASON_BYTES])
{
	const char *name = runtime_program(spec->runtime), *what;
	char program[PATH_MAX] = "";
	int r;

	if (name && program_find(name, program) < 0) {
		snprintf(reason, SANDBOX_PARTS_REASON_BYTES,
			 "%s is not in the orchestrator's PATH: install it "
			 "there, or run the job with --executor docker",
			 name);
		return -ENOENT;
	}
	r = sandbox_parts_start_both(parts, spec, program, &what);
	if (r < 0)
		snprintf(reason, SANDBOX_PARTS_REASON_BYTES, "%s: %s", what,
			 strerror(-r));
	return r;
}

/* --- the end ------------------------------------------------------------- */

void sandbox_parts_init(struct sandbox_parts *parts,
			const struct sandbox_shared *shared)
{
	*parts = (struct sandbox_parts){ .shared = shared, .errors_fd = -1 };
	parts->door = -1;
	parts->runner.stream = parts->sidecar.stream = -1;
	parts->runner.process.pidfd = parts->sidecar.process.pidfd = -1;
}

static void sandbox_side_deinit(struct sandbox_side *side)
{
	if (side->ended)
		event_free(side->ended);
	closep(&side->stream);
	closep(&side->process.pidfd);
	cgroup_free(side->cgroup);
}

void sandbox_parts_deinit(struct sandbox_parts *parts)
{
	sandbox_side_deinit(&parts->runner);
	sandbox_side_deinit(&parts->sidecar);
	closep(&parts->errors_fd);
	closep(&parts->door);
}

/* bwrap's child is PID 1 of the namespace: all others die with it. */
static void sandbox_parts_kill_runner(const struct sandbox_process *bwrap)
{
	pid_t runner = bwrap->pid ? process_child(bwrap->pid) : 0;

	if (runner)
		kill(runner, SIGKILL);
}

void sandbox_parts_kill(struct sandbox_parts *parts)
{
	if (parts->runner.cgroup)
		cgroup_kill(parts->runner.cgroup);
	else
		sandbox_parts_kill_runner(&parts->runner.process);
	/* Waits for nothing else than its child. */
	if (parts->runner.process.pid)
		kill(parts->runner.process.pid, SIGKILL);
}

static bool sandbox_side_remove_cgroup(struct sandbox_side *side)
{
	return !side->cgroup || cgroup_remove(side->cgroup);
}

bool sandbox_parts_gone(struct sandbox_parts *parts)
{
	if (parts->sidecar.process.pid)
		kill(parts->sidecar.process.pid, SIGKILL);
	sandbox_parts_kill(parts);
	if (parts->runner.process.pid || parts->sidecar.process.pid)
		return false;
	return sandbox_side_remove_cgroup(&parts->runner) &&
	       sandbox_side_remove_cgroup(&parts->sidecar);
}

void sandbox_parts_wait(struct sandbox_parts *parts)
{
	sandbox_process_wait(&parts->runner.process);
	sandbox_process_wait(&parts->sidecar.process);
}

void sandbox_parts_complaint(struct sandbox_parts *parts, char *line,
			     size_t size)
{
	ssize_t n, got = 0;
	char *last;

	line[0] = '\0';
	if (parts->errors_fd < 0)
		return;
	while ((n = read(parts->errors_fd, line, size - 1)) > 0)
		got = n;
	while (got && line[got - 1] == '\n')
		got--;
	line[got] = '\0';
	last = strrchr(line, '\n');
	if (last)
		memmove(line, last + 1, strlen(last));
}
