#include "runner/pod.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "common/file.h"
#include "runner/pod_net.h"

#define POD_NAMESPACES (CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC)

static unsigned long pod_flags(const struct pod_spec *spec)
{
	unsigned long flags = POD_NAMESPACES | SIGCHLD;

	return spec->keep_net ? flags : flags | CLONE_NEWNET;
}

static pid_t pod_clone(unsigned long flags)
{
	/* As fork(2): the stack is copied, no argument says where to write. */
	long pid = syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);

	return pid < 0 ? -errno : (pid_t)pid;
}

pid_t pod_fork(struct pod_spec *spec)
{
	pid_t pid = -EPERM;

	spec->new_user = false;
	if (geteuid() == 0)
		pid = pod_clone(pod_flags(spec));
	/* A root without privileges is a user like any other. */
	if (pid == -EPERM) {
		spec->new_user = true;
		pid = pod_clone(pod_flags(spec) | CLONE_NEWUSER);
	}
	return pid;
}

static int pod_write(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : file_write_all(fd, text, strlen(text));
}

/* The same user and group inside. */
static int pod_map_user(uid_t uid, gid_t gid)
{
	char text[64];
	int r;

	/* Nobody's files are ours in /proc before that. */
	prctl(PR_SET_DUMPABLE, 1);
	r = pod_write("/proc/self/setgroups", "deny");
	snprintf(text, sizeof(text), "%u %u 1", uid, uid);
	if (!r)
		r = pod_write("/proc/self/uid_map", text);
	snprintf(text, sizeof(text), "%u %u 1", gid, gid);
	if (!r)
		r = pod_write("/proc/self/gid_map", text);
	prctl(PR_SET_DUMPABLE, 0);
	return r;
}

static int pod_mount(const struct pod_spec *spec)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	/* Where a container hides parts of its own, a new one is refused; the
	 * old one shows other processes, but lets nobody touch them. */
	(void)mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		    NULL);
	if (spec->hosts &&
	    mount(spec->hosts, "/etc/hosts", NULL, MS_BIND, NULL) < 0)
		return -errno;
	return 0;
}

static void pod_say(int to, const struct pod_said *said)
{
	struct iovec iov = { (void *)(uintptr_t)said->why, sizeof(said->why) };
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(said->listeners))];
	} control = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	size_t bytes = said->n * sizeof(int);

	if (said->n) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(bytes);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(bytes);
		memcpy(CMSG_DATA(&control.head), said->listeners, bytes);
	}
	if (sendmsg(to, &msg, MSG_NOSIGNAL) < 0)
		_exit(EXIT_FAILURE);
}

static void pod_fail(int to, const char *what, int error)
{
	struct pod_said said = { 0 };

	snprintf(said.why, sizeof(said.why), "%s: %s", what, strerror(error));
	pod_say(to, &said);
	_exit(EXIT_FAILURE);
}

static void pod_enter_net(const struct pod_spec *spec, int to,
			  struct pod_said *said)
{
	int r = pod_net_up();

	if (r < 0)
		pod_fail(to, "cannot bring loopback up", -r);
	for (size_t i = 0; i < spec->doors->n; i++) {
		r = pod_net_listen(&spec->doors->items[i].listen);
		if (r < 0)
			pod_fail(to, "cannot listen for the job", -r);
		said->listeners[said->n++] = r;
	}
}

void pod_enter(const struct pod_spec *spec, int to)
{
	struct pod_said said = { 0 };
	int r = 0;

	/* Without a map nobody here is anybody. */
	if (spec->new_user)
		r = pod_map_user(spec->uid, spec->gid);
	if (r < 0)
		pod_fail(to, "cannot map the user", -r);
	r = pod_mount(spec);
	if (r < 0)
		pod_fail(to, "cannot mount", -r);
	if (!spec->keep_net)
		pod_enter_net(spec, to, &said);
	pod_say(to, &said);
	for (size_t i = 0; i < said.n; i++)
		close(said.listeners[i]);
}

static size_t pod_take_listeners(struct msghdr *msg, int *out)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	size_t bytes;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return 0;
	bytes = c->cmsg_len - CMSG_LEN(0);
	memcpy(out, CMSG_DATA(c), bytes);
	return bytes / sizeof(int);
}

int pod_wait(int from, struct pod_said *said)
{
	struct iovec iov = { said->why, sizeof(said->why) };
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(said->listeners))];
	} control;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	do {
		n = recvmsg(from, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	said->n = 0;
	if (n != (ssize_t)sizeof(said->why)) {
		snprintf(said->why, sizeof(said->why), "it ended");
		return -EPIPE;
	}
	said->n = pod_take_listeners(&msg, said->listeners);
	return said->why[0] ? -EPERM : 0;
}
