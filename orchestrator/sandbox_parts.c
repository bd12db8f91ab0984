#include "orchestrator/sandbox_parts.h"

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
#include "orchestrator/program.h"
#include "orchestrator/runtime.h"
#include "orchestrator/sandbox_args.h"
#include "orchestrator/sandbox_net.h"

#define SANDBOX_PARTS_NOFILE 1024 /* descriptors a process of the pod */
#define SANDBOX_PARTS_NOBODY 65534
#define SANDBOX_SIDECAR_MEMORY_BYTES (256ULL * 1024 * 1024)
#define SANDBOX_SIDECAR_PIDS 16
#define SANDBOX_SIDECAR_CPU_MILLI 1000
#define SANDBOX_CGROUP_NAME_BYTES 160

/* --- in the child -------------------------------------------------------- */

static int sandbox_parts_forbid_core(void)
{
	const struct rlimit none = { 0, 0 };

	return setrlimit(RLIMIT_CORE, &none) < 0 ? -errno : 0;
}

/* Returns the listening socket that the sidecar gets. */
static int sandbox_parts_prepare_runner(const void *ctx)
{
	const struct sandbox_parts *parts = ctx;
	const struct sandbox_shared *shared = parts->shared;
	int r;

	r = parts->runner.cgroup ? cgroup_enter(parts->runner.cgroup) : 0;
	if (!r && !shared->root)
		r = sandbox_net_map_ids(shared->uid, shared->gid);
	if (!r)
		r = sandbox_parts_forbid_core();
	return r < 0 ? r : sandbox_net_listen();
}

/* It reads what a script sends, so it has no right that it does not need. */
static int sandbox_parts_prepare_sidecar(const void *ctx)
{
	const struct sandbox_parts *parts = ctx;
	const uid_t nobody = SANDBOX_PARTS_NOBODY;
	int r;

	r = parts->sidecar.cgroup ? cgroup_enter(parts->sidecar.cgroup) : 0;
	if (!r)
		r = sandbox_parts_forbid_core();
	if (r < 0)
		return r;
	if (parts->shared->root &&
	    (setgroups(0, NULL) < 0 || setresgid(nobody, nobody, nobody) < 0 ||
	     setresuid(nobody, nobody, nobody) < 0))
		return -errno;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	return 0;
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
	static const struct cgroup_limits limits = {
		.memory_bytes = SANDBOX_SIDECAR_MEMORY_BYTES,
		.pids = SANDBOX_SIDECAR_PIDS,
		.cpu_milli = SANDBOX_SIDECAR_CPU_MILLI,
	};
	char name[SANDBOX_CGROUP_NAME_BYTES];

	if (!parts->shared->cgroups)
		return 0;
	snprintf(name, sizeof(name), "%s.sidecar", spec->pod);
	return cgroup_new(&parts->sidecar.cgroup, parts->shared->cgroups, name,
			  &limits);
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
		.root = shared->root,
		.memory_bytes = enforced & CGROUP_MEMORY ? 0
							 : spec->memory_bytes,
		.pids = enforced & CGROUP_PIDS ? 0 : spec->pids,
	};

	return sandbox_args_init(args, &args_spec);
}

/* Starts bwrap; the listening socket of its namespace in *listen_fd. */
static int sandbox_parts_start_runner(struct sandbox_parts *parts,
				      const struct executor_spec *spec,
				      const char *program, int errors,
				      int *listen_fd)
{
	const struct sandbox_shared *shared = parts->shared;
	_cleanup_close_ int control = -1, seccomp = -1;
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
	r = sandbox_spawn(
		&(struct sandbox_spawn){
			.exec_fd = shared->bwrap_fd,
			.argv = args.items,
			.env = sandbox_parts_env,
			.fds = (int[]){ shared->null_fd, shared->null_fd,
					errors, control, seccomp },
			.n_fds = 5,
			.namespaces = sandbox_net_namespaces(shared->root),
			.cgroup_fd = sandbox_side_cgroup_fd(&parts->runner),
			.nofile = SANDBOX_PARTS_NOFILE,
			.prepare = sandbox_parts_prepare_runner,
			.ctx = parts,
		},
		&parts->runner.process);
	if (!r)
		*listen_fd = parts->runner.process.value;
	return r;
}

static int sandbox_parts_start_sidecar(struct sandbox_parts *parts,
				       int listen_fd)
{
	const struct sandbox_shared *shared = parts->shared;
	/* By descriptor, for its user may not enter the directories above. */
	const char *const argv[] = {
		"cronium-sidecar",
		"--listen",
		"fd:3",
		"--control",
		"fd:4",
		"--backend",
		"unix:/proc/self/fd/5/backend.sock",
		"--log-level",
		shared->log_level,
		"--log-format",
		shared->log_format,
		NULL,
	};
	_cleanup_close_ int control = -1;
	int r;

	r = sandbox_side_connect(&parts->sidecar, &control);
	if (r < 0)
		return r;
	return sandbox_spawn(
		&(struct sandbox_spawn){
			.exec_fd = shared->sidecar_fd,
			.argv = argv,
			.env = sandbox_parts_env,
			.fds = (int[]){ shared->null_fd, shared->null_fd,
					STDERR_FILENO, listen_fd, control,
					shared->backend_fd },
			.n_fds = 6,
			.cgroup_fd = sandbox_side_cgroup_fd(&parts->sidecar),
			.nofile = SANDBOX_PARTS_NOFILE,
			.prepare = sandbox_parts_prepare_sidecar,
			.ctx = parts,
		},
		&parts->sidecar.process);
}

static int sandbox_parts_start_both(struct sandbox_parts *parts,
				    const struct executor_spec *spec,
				    const char *program, const char **what)
{
	_cleanup_close_ int errors = -1, listen_fd = -1;
	int fds[2], r;

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
	r = sandbox_parts_start_runner(parts, spec, program, errors,
				       &listen_fd);
	if (r < 0)
		return r;
	/* Only now: it costs nothing while bwrap is at work. */
	*what = "cannot make the sidecar's cgroup";
	r = sandbox_parts_make_sidecar_cgroup(parts, spec);
	if (r < 0)
		return r;
	*what = "cannot start the sidecar";
	return sandbox_parts_start_sidecar(parts, listen_fd);
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
}

void sandbox_parts_kill(struct sandbox_parts *parts)
{
	if (parts->runner.cgroup)
		cgroup_kill(parts->runner.cgroup);
	/* Its child, PID 1 of the namespace, dies with it, and all others with
	 * that. */
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

static void sandbox_side_wait(struct sandbox_side *side)
{
	if (side->process.pid)
		waitpid(side->process.pid, NULL, 0);
	side->process.pid = 0;
}

void sandbox_parts_wait(struct sandbox_parts *parts)
{
	sandbox_side_wait(&parts->runner);
	sandbox_side_wait(&parts->sidecar);
}

void sandbox_parts_complaint(struct sandbox_parts *parts, char *line,
			     size_t size)
{
	ssize_t n, got = 0;
	char *last;

	while ((n = read(parts->errors_fd, line, size - 1)) > 0)
		got = n;
	while (got && line[got - 1] == '\n')
		got--;
	line[got] = '\0';
	last = strrchr(line, '\n');
	if (last)
		memmove(line, last + 1, strlen(last));
}
