#include "backend-client/transport.h"

#include <errno.h>
#include <sys/socket.h>

const struct transport_tls *transport_tls;

static int plain_handshake(struct transport *t, const char **why)
{
	return 0;
}

static ssize_t plain_read(struct transport *t, void *data, size_t n)
{
	ssize_t r;

	do
		r = recv(t->fd, data, n, 0);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

static ssize_t plain_write(struct transport *t, const void *data, size_t n)
{
	ssize_t r;

	do
		r = send(t->fd, data, n, MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

static void plain_free(struct transport *t)
{
	close(t->fd);
	free(t);
}

static const struct transport_ops plain_ops = {
	.handshake = plain_handshake,
	.read = plain_read,
	.write = plain_write,
	.free = plain_free,
};

int transport_plain_new(struct transport **out, int fd)
{
	struct transport *t = calloc(1, sizeof(*t));

	if (!t) {
		close(fd);
		return -ENOMEM;
	}
	t->ops = &plain_ops;
	t->fd = fd;
	*out = t;
	return 0;
}
