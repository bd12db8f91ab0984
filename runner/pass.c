#include "runner/pass.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

/* A pipe that is writable at all takes so much without waiting. */
#define PASS_CHUNK_BYTES PIPE_BUF

static bool pass_is_writable(const struct pass *p)
{
	struct pollfd f = { .fd = p->fd, .events = POLLOUT };

	return poll(&f, 1, 0) == 1;
}

static void pass_pump(struct pass *p)
{
	while (p->waiting.len && !p->error && pass_is_writable(p)) {
		ssize_t n = write(p->fd, p->waiting.data,
				  MIN(p->waiting.len, PASS_CHUNK_BYTES));

		if (n >= 0)
			buf_consume(&p->waiting, (size_t)n);
		else if (errno == EAGAIN)
			break;
		else if (errno != EINTR)
			p->error = -errno;
	}
	if (p->error)
		buf_clear(&p->waiting);
}

static void pass_on_writable(int fd, short what, void *ctx)
{
	struct pass *p = ctx;

	pass_pump(p);
	if (p->waiting.len)
		event_add(p->writable, NULL);
	else
		p->on_drain(p->ctx);
}

int pass_init(struct pass *p, struct event_base *base, int fd,
	      void (*on_drain)(void *ctx), void *ctx)
{
	*p = (struct pass){ .fd = fd, .on_drain = on_drain, .ctx = ctx };
	p->writable = event_new(base, fd, EV_WRITE, pass_on_writable, p);
	return p->writable ? 0 : -ENOMEM;
}

void pass_deinit(struct pass *p)
{
	if (p->writable)
		event_free(p->writable);
	buf_deinit(&p->waiting);
	p->writable = NULL;
}

int pass_write(struct pass *p, const void *data, size_t len)
{
	int r = p->error ? p->error : buf_append(&p->waiting, data, len);

	if (r < 0)
		return r;
	pass_pump(p);
	if (p->waiting.len && event_add(p->writable, NULL) < 0)
		return -EIO;
	return p->error;
}

bool pass_waits(const struct pass *p)
{
	return p->waiting.len > 0;
}
