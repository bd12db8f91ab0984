#include "runner/gate.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define GATE_ANSWERS_PER_TURN 16 /* so that signals are seen in between */

enum gate_kind { GATE_TELL, GATE_LISTENER };

/* One message of the pair. */
struct gate_message {
	enum gate_kind kind;
	union {
		char text[GATE_TEXT_BYTES];
		struct gate_programs programs;
	};
};

struct gate {
	struct gate_config config;
	int fd;       /* hung up once the script's exec succeeded */
	int listener; /* -1: none yet, or nobody is left to ask */
	struct event *on_message, *on_asked;
	struct gate_programs programs;
	bool said; /* the notice */
};

/* --- the child ------------------------------------------------------------ */

static int gate_send(int fd, const struct gate_message *m, size_t len,
		     int passed)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)m, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (passed >= 0) {
		control.head = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
		};
		memcpy(CMSG_DATA(&control.head), &passed, sizeof(passed));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

void gate_tell(int fd, const char *text)
{
	struct gate_message m = { .kind = GATE_TELL };

	snprintf(m.text, sizeof(m.text), "%s", text);
	if (gate_send(fd, &m, sizeof(m), -1) < 0)
		return;
}

int gate_hand_over(int fd, int listener, const struct gate_programs *programs)
{
	struct gate_message m = { .kind = GATE_LISTENER };

	m.programs = *programs;
	return gate_send(fd, &m, sizeof(m), listener);
}

/* --- the runner ----------------------------------------------------------- */

int gate_pair(int *runner_fd, int *child_fd)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	*runner_fd = fds[0];
	*child_fd = fds[1];
	return 0;
}

static bool gate_script_began(const struct gate *g)
{
	struct pollfd p = { .fd = g->fd };

	return poll(&p, 1, 0) > 0 && p.revents & POLLHUP;
}

static void gate_close_listener(struct gate *g)
{
	if (g->on_asked)
		event_free(g->on_asked);
	g->on_asked = NULL;
	closep(&g->listener);
	g->listener = -1;
}

/* Another user's memory needs that user's rights: we have no capability. */
static int gate_open_memory(const struct gate *g, uint32_t pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/mem", pid);
	if (g->config.uid >= 0) {
		setfsgid((gid_t)g->config.gid);
		setfsuid((uid_t)g->config.uid);
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (g->config.uid >= 0) {
		setfsuid(geteuid());
		setfsgid(getegid());
	}
	return fd;
}

/* The path that is asked for; false where it cannot be read. */
static bool gate_read_path(const struct gate *g, const struct seccomp_notif *q,
			   char path[static PATH_MAX])
{
	_cleanup_close_ int fd = gate_open_memory(g, q->pid);
	ssize_t n;

	if (fd < 0)
		return false;
	n = pread(fd, path, PATH_MAX, (off_t)q->data.args[0]);
	/* The memory may have been another's, if who asked has died. */
	return n > 0 && memchr(path, '\0', (size_t)n) &&
	       !ioctl(g->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &q->id);
}

static bool gate_allows(const struct gate *g, const struct seccomp_notif *q)
{
	char path[PATH_MAX];
	struct stat st;

	if (!g->programs.n || q->data.nr != SYS_execve ||
	    !gate_read_path(g, q, path) || *path != '/' || stat(path, &st) < 0)
		return false;
	for (size_t i = 0; i < g->programs.n; i++) {
		if (g->programs.items[i].dev == st.st_dev &&
		    g->programs.items[i].ino == st.st_ino)
			return true;
	}
	return false;
}

static void gate_answer(struct gate *g, const struct seccomp_notif *q)
{
	struct seccomp_notif_resp reply = { .id = q->id };

	if (!gate_script_began(g) || gate_allows(g, q))
		reply.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else
		reply.error = -EACCES;
	if (reply.error && !g->said) {
		g->said = true;
		g->config.on_notice(g->config.ctx,
				    "the script may not run programs: "
				    "--allow-run lets it");
	}
	/* ENOENT: who asked was interrupted, and will ask again. */
	(void)ioctl(g->listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
}

static void gate_on_asked(int fd, short what, void *ctx)
{
	struct gate *g = ctx;

	for (int i = 0; i < GATE_ANSWERS_PER_TURN; i++) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		struct seccomp_notif q = { 0 };

		if (poll(&p, 1, 0) <= 0)
			return;
		/* Nobody is left: receiving would wait for ever. */
		if (!(p.revents & POLLIN)) {
			gate_close_listener(g);
			return;
		}
		if (!ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &q))
			gate_answer(g, &q);
	}
}

static void gate_take_listener(struct gate *g, const struct gate_message *m,
			       int listener)
{
	g->programs = m->programs;
	g->listener = listener;
	g->on_asked = event_new(g->config.base, listener, EV_READ | EV_PERSIST,
				gate_on_asked, g);
	/* Without memory nothing is started, not even the script. */
	if (!g->on_asked || event_add(g->on_asked, NULL) < 0)
		gate_close_listener(g);
}

static ssize_t gate_receive(int fd, struct gate_message *m, int *passed)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { m, sizeof(*m) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;

	*passed = -1;
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(passed, CMSG_DATA(c), sizeof(*passed));
	return n;
}

static void gate_on_message(int fd, short what, void *ctx)
{
	struct gate *g = ctx;
	struct gate_message m;
	int passed;
	ssize_t n = gate_receive(fd, &m, &passed);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != (ssize_t)sizeof(m)) {
		event_del(g->on_message);
		return;
	}
	if (m.kind == GATE_LISTENER && passed >= 0 && g->listener < 0) {
		gate_take_listener(g, &m, passed);
		return;
	}
	closep(&passed);
	m.text[sizeof(m.text) - 1] = '\0';
	if (m.kind == GATE_TELL)
		g->config.on_notice(g->config.ctx, m.text);
}

int gate_new(struct gate **out, int fd, const struct gate_config *config)
{
	struct gate *g = calloc(1, sizeof(*g));

	if (!g) {
		close(fd);
		return -ENOMEM;
	}
	g->config = *config;
	g->fd = fd;
	g->listener = -1;
	g->on_message = event_new(config->base, fd, EV_READ | EV_PERSIST,
				  gate_on_message, g);
	if (!g->on_message || event_add(g->on_message, NULL) < 0) {
		gate_free(g);
		return -ENOMEM;
	}
	*out = g;
	return 0;
}

void gate_free(struct gate *g)
{
	if (!g)
		return;
	gate_close_listener(g);
	if (g->on_message)
		event_free(g->on_message);
	closep(&g->fd);
	free(g);
}
