#include "orchestrator/control_socket.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

struct control_socket {
	struct event *event;
	const char *name; /* a constant */
	int dir_fd;
	int fd;
	bool (*admits)(int fd);
	void (*on_fd)(void *ctx, int fd);
	void *ctx;
};

void control_socket_free(struct control_socket *s)
{
	if (!s)
		return;
	if (s->event)
		event_free(s->event);
	if (s->fd >= 0)
		close(s->fd);
	if (s->dir_fd >= 0) {
		unlinkat(s->dir_fd, s->name, 0);
		close(s->dir_fd);
	}
	free(s);
}
DEFINE_CLEANUP(struct control_socket *, control_socket_free)

static void control_socket_stop(struct control_socket *s)
{
	event_del(s->event);
	close(s->fd);
	s->fd = -1;
	unlinkat(s->dir_fd, s->name, 0);
}

static void control_socket_on_ready(evutil_socket_t listener, short what,
				    void *ctx)
{
	struct control_socket *s = ctx;
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (s->admits && !s->admits(fd)) {
		close(fd);
		return;
	}
	control_socket_stop(s);
	s->on_fd(s->ctx, fd);
}

/* Binds through /proc/self/fd: a run directory may be deeper than the 107
 * bytes that sun_path holds. */
static int control_socket_listen(struct control_socket *s)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	bool door = !strcmp(s->name, CONTROL_SOCKET_DOOR);
	int type = door ? SOCK_SEQPACKET : SOCK_STREAM;

	s->fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s",
		 s->dir_fd, s->name);
	unlinkat(s->dir_fd, s->name, 0);
	if (bind(s->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    fchmodat(s->dir_fd, s->name, 0666, 0) < 0 || listen(s->fd, 1) < 0)
		return -errno;
	return 0;
}

int control_socket_new(struct control_socket **out, struct event_base *base,
		       const char *dir, const char *name,
		       bool (*admits)(int fd), void (*on_fd)(void *ctx, int fd),
		       void *ctx)
{
	_cleanup_(control_socket_freep) struct control_socket *s =
		calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->fd = s->dir_fd = -1;
	s->name = name;
	s->admits = admits;
	s->on_fd = on_fd;
	s->ctx = ctx;
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return -errno;
	s->dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0 || fchmodat(AT_FDCWD, dir, 0755, 0) < 0)
		return -errno;
	r = control_socket_listen(s);
	if (r < 0)
		return r;
	s->event = event_new(base, s->fd, EV_READ | EV_PERSIST,
			     control_socket_on_ready, s);
	if (!s->event || event_add(s->event, NULL) < 0)
		return -ENOMEM;
	*out = s;
	s = NULL;
	return 0;
}
