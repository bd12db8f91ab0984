/* cronium doctor: programs, kernel features, the clock. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

#include "cli/doctor.h"
#include "common/clock.h"

#define HOST_FILE_BYTES 4096
/* Before this was written. */
#define HOST_CLOCK_MIN_S INT64_C(1767225600) /* 2026-01-01 */
#define CGROUP2_MAGIC 0x63677270

/* The beginning of a small file; "" where it cannot be read. */
static const char *host_read(const char *path, char out[HOST_FILE_BYTES])
{
	FILE *f = fopen(path, "re");
	size_t n = 0;

	if (f) {
		n = fread(out, 1, HOST_FILE_BYTES - 1, f);
		fclose(f);
	}
	out[n] = '\0';
	return out;
}

void doctor_check_programs(struct doctor *d)
{
	static const char *const names[] = { "cronium-backend",
					     "cronium-orchestrator",
					     "cronium-sidecar",
					     "cronium-runner" };
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!place_program(names[i], path, sizeof(path)))
			doctor_report(d, DOCTOR_OK, NULL, "%s", path);
		else
			doctor_report(d, DOCTOR_FAIL,
				      "install it beside cronium, in "
				      "../libexec/cronium or in $PATH; in the "
				      "source tree, run ./dev build",
				      "%s is missing", names[i]);
}

/* --- kernel -------------------------------------------------------------- */

/* What may forbid them to an ordinary user: a file, and how it begins then. */
static const struct host_refusal {
	const char *path, *value, *why, *mend;
} host_refusals[] = {
	{ "/proc/sys/user/max_user_namespaces", "0\n",
	  "user namespaces are switched off",
	  "sysctl -w user.max_user_namespaces=15000" },
	{ "/proc/sys/kernel/unprivileged_userns_clone", "0\n",
	  "user namespaces are for root only",
	  "sysctl -w kernel.unprivileged_userns_clone=1" },
	{ "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n",
	  "AppArmor lets no ordinary user make a sandbox",
	  "allow it to cronium with a profile: docs/mending.md; or to all: "
	  "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0" },
};

static const struct host_refusal host_refusal_unknown = {
	.why = "the kernel lets no ordinary user make a sandbox",
	.mend = "use Docker, or run as root; in a container, add --security-opt "
		"seccomp=unconfined --security-opt apparmor=unconfined",
};

static const struct host_refusal *host_find_refusal(void)
{
	char text[HOST_FILE_BYTES];

	for (size_t i = 0; i < ARRAY_SIZE(host_refusals); i++)
		if (!strcmp(host_read(host_refusals[i].path, text),
			    host_refusals[i].value))
			return &host_refusals[i];
	return &host_refusal_unknown;
}

/* As a pod is made. The second call tells whether the first gave any rights:
 * AppArmor lets a user namespace be made, and then takes them. */
static bool host_may_unshare(void)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(unshare(CLONE_NEWUSER) < 0 || unshare(CLONE_NEWNET) < 0);
	if (pid > 0)
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	return status == 0;
}

void doctor_check_namespaces(struct doctor *d)
{
	const struct host_refusal *refusal;
	struct utsname uts;

	uname(&uts);
	if (access("/proc/self/ns/user", F_OK) < 0) {
		doctor_report(d, DOCTOR_WARN,
			      "use a kernel with CONFIG_USER_NS, or Docker",
			      "kernel %s has no user namespaces", uts.release);
	} else if (geteuid() == 0 || host_may_unshare()) {
		doctor_findings(d)->namespaces = true;
		doctor_report(d, DOCTOR_OK, NULL, "kernel %s%s", uts.release,
			      geteuid() ? "" : "; root needs no permission");
	} else {
		refusal = host_find_refusal();
		doctor_report(d, DOCTOR_WARN, refusal->mend, "kernel %s: %s",
			      uts.release, refusal->why);
	}
}

static const char *const cgroup_controllers[] = { "memory", "pids", "cpu" };

static void doctor_cgroup2(struct doctor *d)
{
	char text[HOST_FILE_BYTES], *controllers;

	controllers = text;
	host_read("/sys/fs/cgroup/cgroup.controllers", text);
	controllers[strcspn(controllers, "\n")] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(cgroup_controllers); i++)
		if (!strstr(controllers, cgroup_controllers[i])) {
			doctor_report(d, DOCTOR_WARN,
				      "delegate memory, pids and cpu to where "
				      "cronium runs (systemd: Delegate=yes)",
				      "v2, but without the controller %s",
				      cgroup_controllers[i]);
			return;
		}
	if (access("/sys/fs/cgroup", W_OK) == 0)
		doctor_report(d, DOCTOR_OK, NULL, "v2: %s", controllers);
	else
		doctor_report(d, DOCTOR_WARN,
			      "run as root or with a delegated cgroup; until "
			      "then the sandbox limits by rlimit alone",
			      "v2, but not writable");
}

void doctor_check_cgroups(struct doctor *d)
{
	struct statfs fs;
	char path[64];

	if (!statfs("/sys/fs/cgroup", &fs) && fs.f_type == CGROUP2_MAGIC) {
		doctor_cgroup2(d);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(cgroup_controllers); i++) {
		snprintf(path, sizeof(path), "/sys/fs/cgroup/%s",
			 cgroup_controllers[i]);
		if (access(path, W_OK) == 0)
			continue;
		doctor_report(d, DOCTOR_WARN,
			      "run as root, or mount cgroups; until then the "
			      "sandbox limits by rlimit alone",
			      "v1, and %s is not writable: %s", path,
			      strerror(errno));
		return;
	}
	doctor_report(d, DOCTOR_OK, NULL, "v1: memory, pids, cpu");
}

void doctor_check_seccomp(struct doctor *d)
{
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0 &&
	    access("/proc/sys/kernel/seccomp/actions_avail", F_OK) == 0)
		doctor_report(d, DOCTOR_OK, NULL, "filters are available");
	else
		doctor_report(d, DOCTOR_FAIL,
			      "use a kernel with CONFIG_SECCOMP_FILTER",
			      "the kernel cannot filter system calls");
}

void doctor_check_overlay(struct doctor *d)
{
	char text[HOST_FILE_BYTES];

	if (strstr(host_read("/proc/filesystems", text), "\toverlay\n"))
		doctor_report(d, DOCTOR_OK, NULL, "available");
	else
		doctor_report(d, DOCTOR_WARN,
			      "modprobe overlay; Docker stores images more "
			      "slowly without",
			      "the kernel has no overlay file system loaded");
}

void doctor_check_runtimes(struct doctor *d)
{
	static const char *const names[] = { "python3", "node", "bash", "bun" };
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!place_program(names[i], path, sizeof(path)))
			doctor_report(d, DOCTOR_OK, NULL, "%s", path);
		else
			doctor_report(d, DOCTOR_WARN,
				      "install it to run such scripts in the "
				      "sandbox; Docker has its own",
				      "%s is not in $PATH", names[i]);
}

/* --- clock --------------------------------------------------------------- */

void doctor_check_clock(struct doctor *d)
{
	struct timex t = { 0 };
	time_t now = (time_t)clock_wall_s();
	struct tm tm;
	char text[64];

	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm);
	if (now < HOST_CLOCK_MIN_S)
		doctor_report(d, DOCTOR_FAIL,
			      "set it (timedatectl set-ntp true): tokens "
			      "depend on it",
			      "%s cannot be right", text);
	else if (adjtimex(&t) == TIME_ERROR)
		doctor_report(d, DOCTOR_OK, NULL,
			      "%s, not synchronised by this kernel", text);
	else
		doctor_report(d, DOCTOR_OK, NULL, "%s, synchronised", text);
}
