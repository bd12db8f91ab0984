/* cronium doctor: what can run scripts here. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "cli/doctor.h"
#include "cli/http_probe.h"
#include "common/docker_socket.h"

#define ENGINE_API_MIN 1.41 /* Docker 20.10 */
#define BWRAP_OUTPUT_BYTES 256

void doctor_check_engine(struct doctor *d)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const char *path = docker_socket_path();
	struct http_probe probe;
	char version[32];
	int r;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	r = http_probe((struct sockaddr *)&addr, sizeof(addr), "/_ping",
		       &probe);

	if (r == -EACCES) {
		doctor_report(d, DOCTOR_WARN,
			      "add this user to the group docker (usermod -aG "
			      "docker $USER), and log in again",
			      "an engine is there, but %s may not be used",
			      path);
		return;
	}
	if (r < 0 || probe.status != 200) {
		doctor_report(d, DOCTOR_WARN,
			      "install and start Docker to run scripts in "
			      "containers; the sandbox does without",
			      "no engine answers on %s: %s", path,
			      r < 0 ? strerror(-r) : "it is not ready");
		return;
	}
	http_probe_header(&probe, "Api-Version:", version, sizeof(version));
	doctor_findings(d)->docker = true;
	if (strtod(version, NULL) < ENGINE_API_MIN)
		doctor_report(d, DOCTOR_WARN, "update Docker to 20.10 or later",
			      "engine with API %s on %s", version, path);
	else
		doctor_report(d, DOCTOR_OK, NULL, "engine with API %s on %s",
			      version, path);
}

/* --- bubblewrap ---------------------------------------------------------- */

static void bwrap_exec(const char *path, int err_fd)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	dup2(null_fd, STDIN_FILENO);
	dup2(null_fd, STDOUT_FILENO);
	dup2(err_fd, STDERR_FILENO);
	/* The same namespaces that a pod has; root's has no user namespace. */
	execl(path, "bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc",
	      "--unshare-uts", "--die-with-parent", "--ro-bind", "/", "/",
	      "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp",
	      geteuid() ? "--unshare-user" : "--", "true", NULL);
	_exit(127);
}

/* The exit status, and the first line of what it says. */
static int bwrap_try(const char *path, char said[BWRAP_OUTPUT_BYTES])
{
	int pipe_fds[2], status = -1;
	size_t n = 0;
	ssize_t got;
	pid_t pid;

	said[0] = '\0';
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (!pid)
		bwrap_exec(path, pipe_fds[1]);
	close(pipe_fds[1]);
	while (n < BWRAP_OUTPUT_BYTES - 1 &&
	       (got = read(pipe_fds[0], said + n, BWRAP_OUTPUT_BYTES - 1 - n)) >
		       0)
		n += (size_t)got;
	said[n] = '\0';
	said[strcspn(said, "\n")] = '\0';
	close(pipe_fds[0]);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	return status;
}

void doctor_check_bubblewrap(struct doctor *d)
{
	char path[PATH_MAX], said[BWRAP_OUTPUT_BYTES];

	if (place_program("bwrap", path, sizeof(path)) < 0) {
		doctor_report(d, DOCTOR_WARN,
			      "install the package bubblewrap to run scripts "
			      "without Docker",
			      "bwrap is not in $PATH");
		return;
	}
	if (bwrap_try(path, said) != 0) {
		doctor_report(d, DOCTOR_WARN,
			      "allow namespaces to it, as above; root in a "
			      "container: --cap-add SYS_ADMIN --cap-add "
			      "NET_ADMIN --security-opt seccomp=unconfined "
			      "--security-opt apparmor=unconfined",
			      "%s cannot make a sandbox: %s", path,
			      *said ? said : "it says nothing");
		return;
	}
	/* AppArmor may allow it to bubblewrap, and not to cronium. */
	doctor_findings(d)->sandbox = doctor_findings(d)->namespaces;
	doctor_report(d, DOCTOR_OK, NULL, "%s makes sandboxes", path);
}

void doctor_check_executors(struct doctor *d)
{
	const struct doctor_findings *f = doctor_findings(d);

	if (f->docker || f->sandbox)
		doctor_report(d, DOCTOR_OK, NULL, "%s%s%s",
			      f->docker ? "docker" : "",
			      f->docker && f->sandbox ? ", " : "",
			      f->sandbox ? "sandbox" : "");
	else
		doctor_report(d, DOCTOR_FAIL, "mend docker or bubblewrap above",
			      "nothing here can run a script");
}
