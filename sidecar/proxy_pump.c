#include "sidecar/proxy_pump.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* 0 when nothing is held any more, 1 when the receiver is full. */
static int proxy_pump_flush(struct proxy_pump *p)
{
	while (p->held.len) {
		ssize_t n = send(p->to, p->held.data, p->held.len,
				 MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return 1;
		if (n < 0)
			return -errno;
		p->bytes += (uint64_t)n;
		buf_consume(&p->held, (size_t)n);
	}
	buf_clear(&p->held);
	return 0;
}

static int proxy_pump_pass(struct proxy_pump *p, size_t len)
{
	ssize_t n = send(p->to, p->scratch, len, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN)
		return -errno;
	n = MAX(n, 0);
	p->bytes += (uint64_t)n;
	if ((size_t)n == len)
		return 0;
	return buf_append(&p->held, p->scratch + n, len - (size_t)n);
}

/* 0; -EAGAIN when there is nothing to read. */
static int proxy_pump_read(struct proxy_pump *p)
{
	ssize_t n = recv(p->from, p->scratch, PROXY_PUMP_BYTES, 0);
	int r;

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (!n && p->body)
		return -ECONNABORTED; /* in the middle of it */
	if (!n)
		p->eof = true;
	if (p->reply && !p->reply->done)
		return proxy_reply_read(p->reply, p->scratch, (size_t)n,
					&p->held);
	if (!p->body)
		return n ? proxy_pump_pass(p, (size_t)n) : 0;
	r = proxy_body_read(p->body, p->scratch, (size_t)n, &p->held);
	p->eof = p->body->done;
	return r;
}

/* 0 when it goes on, 1 when the receiver is full, or negative errno. */
static int proxy_pump_work(struct proxy_pump *p)
{
	int r = 0;

	for (int i = 0; i <= PROXY_PUMP_READS; i++) {
		r = proxy_pump_flush(p);
		if (r || p->eof || i == PROXY_PUMP_READS)
			break;
		r = proxy_pump_read(p);
		if (r == -EAGAIN)
			return 0;
		if (r < 0)
			return r;
	}
	if (r || !p->eof)
		return r;
	p->over = true;
	/* Of a request the server may still be waiting for nothing: one that
	 * sees a half-closed connection may give up. */
	if (!p->body)
		shutdown(p->to, SHUT_WR);
	return 0;
}

static void proxy_pump_run(struct proxy_pump *p)
{
	int r;

	if (p->over)
		return;
	r = proxy_pump_work(p);
	if (r != 0 || p->eof)
		event_del(&p->readable);
	else
		event_add(&p->readable, NULL);
	if (r == 1)
		event_add(&p->writable, NULL);
	else
		event_del(&p->writable);
	p->on_event(p, r < 0 ? -r : 0, p->ctx);
}

static void proxy_pump_on_event(evutil_socket_t fd, short what, void *ctx)
{
	proxy_pump_run(ctx);
}

void proxy_pump_init(struct proxy_pump *p, int from, int to, uint8_t *scratch,
		     proxy_pump_fn on_event, void *ctx)
{
	*p = (struct proxy_pump){
		.from = from,
		.to = to,
		.scratch = scratch,
		.on_event = on_event,
		.ctx = ctx,
	};
}

int proxy_pump_start(struct proxy_pump *p, struct event_base *base)
{
	if (event_assign(&p->readable, base, p->from, EV_READ | EV_PERSIST,
			 proxy_pump_on_event, p) < 0 ||
	    event_assign(&p->writable, base, p->to, EV_WRITE | EV_PERSIST,
			 proxy_pump_on_event, p) < 0)
		return -ENOMEM;
	p->started = true;
	p->eof = p->body && p->body->done;
	/* A socket that takes bytes says so at once: the rest follows. */
	return event_add(&p->writable, NULL) < 0 ? -ENOMEM : 0;
}

void proxy_pump_trim(struct proxy_pump *p)
{
	if (!p->held.len)
		buf_deinit(&p->held);
}

void proxy_pump_deinit(struct proxy_pump *p)
{
	if (p->started) {
		event_del(&p->readable);
		event_del(&p->writable);
	}
	buf_deinit(&p->held);
	p->started = false;
}
