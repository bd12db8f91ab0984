#include "common/door_message.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "common/buf.h"
#include "common/json.h"

#define DOOR_MESSAGE_FDS_MAX 4 /* room for those that should not be there */

union door_message_control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * DOOR_MESSAGE_FDS_MAX)];
};

static int door_message_send_bytes(int fd, const struct buf *b, int attached)
{
	struct iovec iov = { b->data, b->len };
	union door_message_control control = { 0 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c = &control.align;

	if (attached >= 0) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &attached, sizeof(int));
	}
	if (sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

int door_message_send(int fd, json_t *message, int attached)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };
	int r = message ? json_append(&b, message) : -ENOMEM;

	json_decref(message);
	if (!r && b.len > DOOR_MESSAGE_MAX_BYTES)
		r = -EMSGSIZE;
	return r ? r : door_message_send_bytes(fd, &b, attached);
}

/* One descriptor is kept, more than one is none. */
static bool door_message_take_fd(struct msghdr *m, int *attached)
{
	bool good = !(m->msg_flags & (MSG_TRUNC | MSG_CTRUNC));

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			good = good && *attached < 0;
			if (good)
				*attached = fd;
			else
				close(fd);
		}
	}
	if (good)
		return true;
	closep(attached);
	*attached = -1;
	return false;
}

int door_message_receive(int fd, json_t **message, int *attached)
{
	char bytes[DOOR_MESSAGE_MAX_BYTES], err[JSON_ERROR_TEXT_LENGTH];
	struct iovec iov = { bytes, sizeof(bytes) };
	union door_message_control control = { 0 };
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*message = NULL;
	*attached = -1;
	if (n < 0)
		return -errno;
	if (!door_message_take_fd(&m, attached))
		return -EPROTO;
	if (n > 0)
		*message = json_parse_object(bytes, (size_t)n, err,
					     sizeof(err));
	if (*message)
		return 0;
	closep(attached);
	*attached = -1;
	return n ? -EPROTO : -EPIPE;
}
