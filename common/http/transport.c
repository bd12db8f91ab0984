#include "common/http/transport.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static ssize_t plain_recv(struct transport *t, void *data, size_t size)
{
	ssize_t n = recv(t->fd, data, size, 0);

	if (n >= 0)
		return n;
	return errno == EINTR ? -EAGAIN : -errno;
}

static ssize_t plain_send(struct transport *t, const void *data, size_t len)
{
	ssize_t n = send(t->fd, data, len, MSG_NOSIGNAL);

	if (n >= 0)
		return n;
	return errno == EINTR ? -EAGAIN : -errno;
}

static bool plain_pending(const struct transport *t)
{
	return false;
}

static bool plain_is_h2(const struct transport *t)
{
	return false;
}

static void plain_shutdown(struct transport *t)
{
	shutdown(t->fd, SHUT_WR);
}

static void plain_free(struct transport *t)
{
	close(t->fd);
	free(t);
}

static const struct transport_ops PLAIN_OPS = {
	.recv = plain_recv,
	.send = plain_send,
	.pending = plain_pending,
	.is_h2 = plain_is_h2,
	.shutdown = plain_shutdown,
	.free = plain_free,
};

struct transport *transport_new_plain(int fd)
{
	struct transport *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->ops = &PLAIN_OPS;
	t->fd = fd;
	return t;
}
