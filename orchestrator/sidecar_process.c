#include "orchestrator/sidecar_process.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "orchestrator/cgroup.h"

#define SIDECAR_PROCESS_NOFILE 1024
#define SIDECAR_PROCESS_NOBODY 65534
#define SIDECAR_PROCESS_FDS_MAX 9
#define SIDECAR_PROCESS_ARGS_MAX 24
#define SIDECAR_PROCESS_TEXT_BYTES 64

const struct cgroup_limits sidecar_process_limits = {
	.memory_bytes = 256ULL * 1024 * 1024,
	.pids = 16,
	.cpu_milli = 1000,
};

/* Its command line and the descriptors that it names. */
struct sidecar_process_plan {
	int fds[SIDECAR_PROCESS_FDS_MAX];
	size_t n_fds;
	const char *argv[SIDECAR_PROCESS_ARGS_MAX];
	size_t n_args;
	char text[SIDECAR_PROCESS_FDS_MAX][SIDECAR_PROCESS_TEXT_BYTES];
};

/* --- in the child -------------------------------------------------------- */

/* The kernel's calls: the C library's would have the other threads follow,
 * which are not in the child, and wait for one that was just starting. */
static int sidecar_process_become_nobody(void)
{
	const uid_t nobody = SIDECAR_PROCESS_NOBODY;

	if (syscall(SYS_setgroups, 0, NULL) < 0 ||
	    syscall(SYS_setresgid, nobody, nobody, nobody) < 0 ||
	    syscall(SYS_setresuid, nobody, nobody, nobody) < 0)
		return -errno;
	return 0;
}

static int sidecar_process_prepare(const void *ctx, int made[])
{
	const struct sidecar_process_spec *spec = ctx;
	const struct rlimit none = { 0, 0 };
	int r;

	r = spec->cgroup ? cgroup_enter(spec->cgroup) : 0;
	if (!r && setrlimit(RLIMIT_CORE, &none) < 0)
		r = -errno;
	if (!r && spec->root)
		r = sidecar_process_become_nobody();
	if (r < 0)
		return r;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

/* --- the plan ------------------------------------------------------------ */

static void sidecar_process_add(struct sidecar_process_plan *p,
				const char *option, const char *value)
{
	p->argv[p->n_args++] = option;
	p->argv[p->n_args++] = value;
}

/* The value is prefix, the number that fd gets in the sidecar, and suffix. */
static void sidecar_process_add_fd(struct sidecar_process_plan *p,
				   const char *option, const char *prefix,
				   int fd, const char *suffix)
{
	char *text = p->text[p->n_fds];

	snprintf(text, SIDECAR_PROCESS_TEXT_BYTES, "%s%d%s", prefix,
		 (int)p->n_fds, suffix);
	p->fds[p->n_fds++] = fd;
	sidecar_process_add(p, option, text);
}

static void sidecar_process_plan(struct sidecar_process_plan *p,
				 const struct sidecar_process_spec *spec,
				 int control)
{
	*p = (struct sidecar_process_plan){
		.fds = { spec->null_fd, spec->null_fd, STDERR_FILENO },
		.n_fds = 3,
		.argv = { "cronium-sidecar" },
		.n_args = 1,
	};
	sidecar_process_add_fd(p, "--control", "fd:", control, "");
	/* By descriptor, for its user may not enter the directories above. */
	sidecar_process_add_fd(p, "--backend", "unix:/proc/self/fd/",
			       spec->backend_fd, "/backend.sock");
	if (spec->listen_fd >= 0)
		sidecar_process_add_fd(p, "--listen", "fd:", spec->listen_fd,
				       "");
	else
		sidecar_process_add(p, "--listen", "none");
	if (spec->proxy_fd >= 0)
		sidecar_process_add_fd(p, "--proxy", "fd:", spec->proxy_fd, "");
	if (spec->door_fd >= 0)
		sidecar_process_add_fd(p, "--door", "fd:", spec->door_fd, "");
	if (spec->again_fd >= 0)
		sidecar_process_add_fd(p, "--again", "dir:", spec->again_fd,
				       "");
	sidecar_process_add(p, "--log-level", spec->log_level);
	sidecar_process_add(p, "--log-format", spec->log_format);
}

int sidecar_process_start(const struct sidecar_process_spec *spec,
			  struct sandbox_process *out, int *control_fd)
{
	static const char *const env[] = { "LANG=C.UTF-8", NULL };
	struct sidecar_process_plan plan;
	_cleanup_close_ int control = -1;
	int fds[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	control = fds[1];
	sidecar_process_plan(&plan, spec, control);
	r = sandbox_spawn(
		&(struct sandbox_spawn){
			.exec_fd = spec->exec_fd,
			.argv = plan.argv,
			.env = env,
			.fds = plan.fds,
			.n_fds = plan.n_fds,
			.cgroup_fd = spec->cgroup
					     ? cgroup_clone_fd(spec->cgroup)
					     : -1,
			.nofile = SIDECAR_PROCESS_NOFILE,
			.prepare = sidecar_process_prepare,
			.ctx = spec,
		},
		out);
	if (r < 0)
		close(fds[0]);
	else
		*control_fd = fds[0];
	return r;
}
