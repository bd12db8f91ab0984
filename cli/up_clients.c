#include "cli/up_clients.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "common/buf.h"
#include "common/id.h"

#define UP_LINE_MAX_BYTES 128

struct up_attached {
	LIST_ENTRY(up_attached) link;
	char job[ID_MAX_BYTES];
};

struct up_client {
	LIST_ENTRY(up_client) link;
	struct up_clients *owner;
	int fd;
	struct event *readable;
	struct buf in;
	LIST_HEAD(, up_attached) attached;
	size_t n_attached;
};

struct up_clients {
	struct event_base *base;
	const struct up_clients_ops *ops;
	void *ctx;
	int listen_fd;
	struct event *acceptable;
	LIST_HEAD(, up_client) clients;
	size_t n_clients;
	const char *ready; /* the line; NULL before */
};

static void client_free(struct up_client *c)
{
	struct up_attached *a;

	while ((a = LIST_FIRST(&c->attached))) {
		LIST_REMOVE(a, link);
		free(a);
	}
	LIST_REMOVE(c, link);
	c->owner->n_clients--;
	if (c->readable)
		event_free(c->readable);
	buf_deinit(&c->in);
	close(c->fd);
	free(c);
}

/* A line fits any socket buffer; who does not read has his own fault. */
static void client_say(struct up_client *c, const char *text)
{
	char newline[] = "\n";
	struct iovec iov[] = {
		{ .iov_base = (char *)text, .iov_len = strlen(text) },
		{ .iov_base = newline, .iov_len = 1 },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	if (sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
}

static void client_gone(struct up_client *c)
{
	struct up_clients *u = c->owner;
	struct up_attached *a;

	LIST_FOREACH(a, &c->attached, link)
		u->ops->on_abandoned(a->job, u->ctx);
	client_free(c);
	if (!u->n_clients)
		u->ops->on_none(u->ctx);
}

static void client_attach(struct up_client *c, const char *job)
{
	struct up_attached *a;

	if (!id_valid("job", job) || c->n_attached == UP_ATTACHED_MAX)
		return;
	a = calloc(1, sizeof(*a));
	if (!a)
		return;
	snprintf(a->job, sizeof(a->job), "%s", job);
	LIST_INSERT_HEAD(&c->attached, a, link);
	c->n_attached++;
}

static void client_detach(struct up_client *c, const char *job)
{
	struct up_attached *a;

	LIST_FOREACH(a, &c->attached, link)
		if (!strcmp(a->job, job)) {
			LIST_REMOVE(a, link);
			c->n_attached--;
			free(a);
			return;
		}
}

static void client_lines(struct up_client *c)
{
	char *end, *line;

	while ((line = buf_cstr(&c->in)) && (end = strchr(line, '\n'))) {
		*end = '\0';
		if (!strncmp(line, "attach ", 7))
			client_attach(c, line + 7);
		else if (!strncmp(line, "detach ", 7))
			client_detach(c, line + 7);
		buf_consume(&c->in, (size_t)(end - line) + 1);
	}
}

static void client_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct up_client *c = arg;
	char in[UP_LINE_MAX_BYTES];
	ssize_t n = recv(fd, in, sizeof(in), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && !buf_append(&c->in, in, (size_t)n)) {
		client_lines(c);
		if (c->in.len < UP_LINE_MAX_BYTES)
			return;
	}
	client_gone(c);
}

static void clients_on_accept(evutil_socket_t lfd, short what, void *arg)
{
	struct up_clients *u = arg;
	int fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct up_client *c = fd < 0 ? NULL : calloc(1, sizeof(*c));

	if (!c || u->n_clients == UP_CLIENTS_MAX) {
		free(c);
		if (fd >= 0)
			close(fd);
		return;
	}
	c->owner = u;
	c->fd = fd;
	LIST_INIT(&c->attached);
	LIST_INSERT_HEAD(&u->clients, c, link);
	u->n_clients++;
	c->readable = event_new(u->base, fd, EV_READ | EV_PERSIST,
				client_on_readable, c);
	if (!c->readable) {
		client_free(c);
		return;
	}
	event_add(c->readable, NULL);
	if (u->ready)
		client_say(c, u->ready);
}

int up_clients_new(struct up_clients **out, struct event_base *base,
		   int listen_fd, const struct up_clients_ops *ops, void *ctx)
{
	struct up_clients *u = calloc(1, sizeof(*u));

	if (!u) {
		close(listen_fd);
		return -ENOMEM;
	}
	u->base = base;
	u->ops = ops;
	u->ctx = ctx;
	u->listen_fd = listen_fd;
	LIST_INIT(&u->clients);
	u->acceptable = event_new(base, listen_fd, EV_READ | EV_PERSIST,
				  clients_on_accept, u);
	if (!u->acceptable) {
		up_clients_free(u);
		return -ENOMEM;
	}
	event_add(u->acceptable, NULL);
	*out = u;
	return 0;
}

void up_clients_stop(struct up_clients *u)
{
	while (!LIST_EMPTY(&u->clients))
		client_free(LIST_FIRST(&u->clients));
	if (u->acceptable)
		event_free(u->acceptable);
	if (u->listen_fd >= 0)
		close(u->listen_fd);
	u->acceptable = NULL;
	u->listen_fd = -1;
}

void up_clients_free(struct up_clients *u)
{
	if (!u)
		return;
	up_clients_stop(u);
	free(u);
}

size_t up_clients_count(const struct up_clients *u)
{
	return u->n_clients;
}

void up_clients_ready(struct up_clients *u, const char *line)
{
	struct up_client *c;

	u->ready = line;
	LIST_FOREACH(c, &u->clients, link)
		client_say(c, u->ready);
}

void up_clients_failed(struct up_clients *u, const char *why)
{
	struct up_client *c;
	char line[512];

	snprintf(line, sizeof(line), "failed %s", why);
	for (char *p = line; *p; p++)
		if (*p == '\n')
			*p = ' ';
	LIST_FOREACH(c, &u->clients, link)
		client_say(c, line);
}
