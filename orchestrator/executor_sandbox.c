/*
 * The sandbox executor: pods of Linux namespaces made by bubblewrap, for
 * hosts without a container engine and for ordinary users.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "orchestrator/cgroup.h"
#include "orchestrator/executor.h"
#include "orchestrator/pod_dir.h"
#include "orchestrator/program.h"
#include "orchestrator/sandbox_args.h"
#include "orchestrator/sandbox_files.h"
#include "orchestrator/sandbox_net.h"
#include "orchestrator/sandbox_pod.h"
#include "orchestrator/sandbox_seccomp.h"

#define SANDBOX_SWEEP_MS 5
#define SANDBOX_SWEEP_MAX 400 /* times */
#define SANDBOX_SCRIPT_UID 1000

struct executor {
	struct sandbox_shared shared;
	struct sandbox_pods pods;
	char *run_dir, *sdk_dir;
	/* reap() */
	struct event *sweep;
	unsigned int sweeps;
	void (*reaped)(void *ctx);
	void *reaped_ctx;
	const struct executor_spare *spare;
};

static void executor_sandbox_free(struct executor *e)
{
	struct executor_pod *pod;

	if (!e)
		return;
	while ((pod = TAILQ_FIRST(&e->pods)))
		sandbox_pod_free(pod);
	if (e->sweep)
		event_free(e->sweep);
	closep(&e->shared.bwrap_fd);
	closep(&e->shared.sidecar_fd);
	closep(&e->shared.backend_fd);
	closep(&e->shared.seccomp_fd);
	closep(&e->shared.null_fd);
	cgroup_root_free(e->shared.cgroups);
	free(e->run_dir);
	free(e->sdk_dir);
	free(e);
}

/* O_PATH of bwrap in PATH, or -1 with errno. */
static int executor_sandbox_find_bwrap(void)
{
	char file[PATH_MAX];

	if (program_find("bwrap", file) == 0)
		return open(file, O_PATH | O_CLOEXEC);
	errno = ENOENT;
	return -1;
}

/* Tries, because no setting tells: containers, AppArmor and sysctls each have
 * a say in it. */
static bool executor_sandbox_may_unshare(bool root)
{
	int flags = CLONE_NEWNET | CLONE_NEWNS | (root ? 0 : CLONE_NEWUSER);
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(unshare(flags) < 0 || sandbox_net_loopback_up() < 0);
	if (pid > 0)
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	return status == 0;
}

static int executor_sandbox_open(struct sandbox_shared *s,
				 const struct executor_config *config,
				 char *err, size_t err_size)
{
	const char *what = "bubblewrap (install the package bubblewrap)";

	s->bwrap_fd = executor_sandbox_find_bwrap();
	if (s->bwrap_fd >= 0) {
		what = config->sidecar_path;
		s->sidecar_fd = open(what, O_PATH | O_CLOEXEC);
	}
	if (s->sidecar_fd >= 0) {
		what = config->backend_dir;
		s->backend_fd = open(what, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	if (s->backend_fd >= 0) {
		what = "/dev/null";
		s->null_fd = open(what, O_RDWR | O_CLOEXEC);
	}
	if (s->null_fd < 0) {
		int r = -errno;

		snprintf(err, err_size, "sandbox: no %s: %s", what,
			 strerror(-r));
		return r;
	}
	return 0;
}

/* A pod holds five descriptors; the usual soft limit ends at 200 pods. */
static void executor_sandbox_raise_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
}

static int executor_sandbox_prepare(struct executor *e,
				    const struct executor_config *config,
				    char *err, size_t err_size)
{
	struct sandbox_shared *s = &e->shared;
	int r;

	s->seccomp_fd = sandbox_seccomp_new();
	if (s->seccomp_fd < 0) {
		snprintf(err, err_size, "sandbox: no seccomp filter: %s",
			 strerror(-s->seccomp_fd));
		return s->seccomp_fd;
	}
	r = sandbox_files_install(config->run_dir, config->runner_path, err,
				  err_size);
	if (r < 0)
		return r;
	r = pod_dir_prepare(config->run_dir);
	if (r < 0) {
		snprintf(err, err_size, "sandbox: %s/pods: %s", config->run_dir,
			 strerror(-r));
		return r;
	}
	r = cgroup_root_new(&s->cgroups, config->instance);
	if (r < 0) {
		snprintf(err, err_size, "sandbox: no cgroup: %s", strerror(-r));
		return r;
	}
	executor_sandbox_raise_limit();
	return 0;
}

static void executor_sandbox_on_sweep(int fd, short what, void *ctx);

static int executor_sandbox_init(struct executor *e,
				 const struct executor_config *config)
{
	struct sandbox_shared *s = &e->shared;

	TAILQ_INIT(&e->pods);
	s->bwrap_fd = s->sidecar_fd = s->backend_fd = -1;
	s->seccomp_fd = s->null_fd = -1;
	s->base = config->base;
	s->uid = geteuid();
	s->gid = getegid();
	s->root = s->uid == 0;
	s->log_level = config->log_level;
	s->log_format = config->log_format;
	e->run_dir = strdup(config->run_dir);
	e->sdk_dir = config->sdk_dir ? strdup(config->sdk_dir) : NULL;
	e->sweep = evtimer_new(config->base, executor_sandbox_on_sweep, e);
	if (!e->run_dir || (config->sdk_dir && !e->sdk_dir) || !e->sweep)
		return -ENOMEM;
	s->run_dir = e->run_dir;
	s->sdk_dir = e->sdk_dir;
	s->shares = config->shares;
	return 0;
}

static int executor_sandbox_new(struct executor **out,
				const struct executor_config *config, char *err,
				size_t err_size)
{
	struct executor *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	r = executor_sandbox_init(e, config);
	if (!r && !executor_sandbox_may_unshare(e->shared.root)) {
		snprintf(
			err, err_size,
			"sandbox: no namespaces may be made here: a container "
			"needs CAP_SYS_ADMIN and CAP_NET_ADMIN; an ordinary user "
			"is told by 'cronium doctor' which setting forbids "
			"them");
		r = -EPERM;
	}
	if (!r)
		r = executor_sandbox_open(&e->shared, config, err, err_size);
	if (!r)
		r = executor_sandbox_prepare(e, config, err, err_size);
	if (r < 0) {
		executor_sandbox_free(e);
		return r;
	}
	*out = e;
	return 0;
}

static void executor_sandbox_sweep_again(struct executor *e, uint64_t ms)
{
	const struct timeval tv = clock_timeval(ms);

	event_add(e->sweep, &tv);
}

/* POD, or POD.sidecar. */
static bool executor_sandbox_spares(const char *cgroup, void *ctx)
{
	const struct executor *e = ctx;
	char pod[SANDBOX_CGROUP_NAME_BYTES];

	snprintf(pod, sizeof(pod), "%.*s", (int)strcspn(cgroup, "."), cgroup);
	return executor_spares(e->spare, pod);
}

static void executor_sandbox_on_sweep(int fd, short what, void *ctx)
{
	struct executor *e = ctx;

	if (e->shared.cgroups &&
	    !cgroup_root_sweep(e->shared.cgroups, executor_sandbox_spares, e) &&
	    e->sweeps++ < SANDBOX_SWEEP_MAX) {
		executor_sandbox_sweep_again(e, SANDBOX_SWEEP_MS);
		return;
	}
	pod_dir_sweep(e->shared.run_dir, e->spare);
	e->reaped(e->reaped_ctx);
}

/* By their cgroups. Where there are none, those that nobody takes up end by
 * themselves. */
static void executor_sandbox_reap(struct executor *e,
				  const struct executor_spare *spare,
				  void (*done)(void *ctx), void *ctx)
{
	e->reaped = done;
	e->reaped_ctx = ctx;
	e->spare = spare;
	e->sweeps = 0;
	executor_sandbox_sweep_again(e, 0);
}

static int executor_sandbox_create(struct executor *e,
				   const struct executor_spec *spec,
				   const struct executor_events *events,
				   void *ctx, struct executor_pod **out)
{
	return sandbox_pod_new(&e->shared, &e->pods, spec, events, ctx, out);
}

static int executor_sandbox_adopt(struct executor *e,
				  const struct executor_spec *spec,
				  const json_t *description,
				  const struct executor_events *events,
				  void *ctx, struct executor_pod **out)
{
	return sandbox_pod_adopt(&e->shared, &e->pods, spec, description,
				 events, ctx, out);
}

static void executor_sandbox_place(struct executor_pod *pod,
				   struct executor_place *out)
{
	const struct sandbox_shared *shared = sandbox_pod_shared(pod);
	int64_t id = shared->root ? SANDBOX_SCRIPT_UID : -1;

	*out = (struct executor_place){
		.work_dir = "/work",
		.uid = id,
		.gid = id,
		.runtime_api = "http://localhost:8081",
		.mode = "sandbox",
		.sdk_dir = shared->sdk_dir ? "/opt/cronium/sdk" : NULL,
		.bin_dir = SANDBOX_ARGS_BIN_DIR,
	};
}

const struct executor_ops executor_sandbox = {
	.name = "sandbox",
	.machine = true,
	.new = executor_sandbox_new,
	.free = executor_sandbox_free,
	.reap = executor_sandbox_reap,
	.create = executor_sandbox_create,
	.describe = sandbox_pod_describe,
	.adopt = executor_sandbox_adopt,
	.place = executor_sandbox_place,
	.kill = sandbox_pod_kill,
	.oom_killed = sandbox_pod_oom_killed,
	.measure = sandbox_pod_measure,
	.destroy = sandbox_pod_destroy,
};
