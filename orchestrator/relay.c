#include "orchestrator/relay.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "backend-client/dial.h"
#include "backend-client/endpoint.h"
#include "backend-client/transport.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/unix_socket.h"

#define RELAY_BACKLOG 128
#define RELAY_ROUNDS 8 /* of a full buffer, in one turn of the loop */

/* DIALING ─▶ SHAKING (TLS) ─▶ OPEN ─▶ CLOSED: freed at the turn's end. */
enum relay_state { RELAY_DIALING, RELAY_SHAKING, RELAY_OPEN, RELAY_CLOSED };

struct relay_pair {
	LIST_ENTRY(relay_pair) link;
	struct relay *relay;
	enum relay_state state;
	int near; /* the sidecar's connection */
	struct dial *dial;
	const struct endpoint *to; /* the backend that it leads to */
	size_t tries;
	struct transport *far; /* the backend's */
	struct event *near_event, *far_event;
	struct buf up, down;
	bool near_ended, far_ended;
};

struct relay {
	struct event_base *base;
	char *path;
	struct endpoint_list endpoints;
	void *tls_context;
	int fd;
	struct event *accept_event;
	struct event *pause; /* no descriptors: accepting goes on later */
	struct event *turn;  /* frees what is closed */
	LIST_HEAD(, relay_pair) pairs;
	unsigned int n_pairs;
};

/* --- one connection ------------------------------------------------------- */

static void relay_pair_free(struct relay_pair *p)
{
	LIST_REMOVE(p, link);
	p->relay->n_pairs--;
	if (p->near_event)
		event_free(p->near_event);
	if (p->far_event)
		event_free(p->far_event);
	dial_free(p->dial);
	if (p->far)
		p->far->ops->free(p->far);
	closep(&p->near);
	buf_deinit_secret(&p->up);
	buf_deinit_secret(&p->down);
	free(p);
}

static void relay_pair_close(struct relay_pair *p, const char *reason)
{
	if (p->state == RELAY_CLOSED)
		return;
	p->state = RELAY_CLOSED;
	log_debug(NULL, "relay: a connection is closed: %s", reason);
	if (p->near_event)
		event_del(p->near_event);
	if (p->far_event)
		event_del(p->far_event);
	event_active(p->relay->turn, EV_TIMEOUT, 0);
}

static ssize_t relay_near_read(struct relay_pair *p, void *data, size_t n)
{
	ssize_t got = recv(p->near, data, n, 0);

	return got < 0 ? -errno : got;
}

static ssize_t relay_far_read(struct relay_pair *p, void *data, size_t n)
{
	return p->far->ops->read(p->far, data, n);
}

static ssize_t relay_near_write(struct relay_pair *p, const void *data,
				size_t n)
{
	ssize_t sent = send(p->near, data, n, MSG_NOSIGNAL);

	return sent < 0 ? -errno : sent;
}

static ssize_t relay_far_write(struct relay_pair *p, const void *data, size_t n)
{
	return p->far->ops->write(p->far, data, n);
}

static bool relay_may_try_again(ssize_t r)
{
	return r == -EAGAIN || r == -EINTR;
}

/* Reads what there is, up to the bound. False when the connection broke. */
static bool relay_fill(struct relay_pair *p, struct buf *b, bool *ended,
		       ssize_t (*read_fn)(struct relay_pair *, void *, size_t))
{
	while (!*ended && b->len < RELAY_BUFFER_BYTES) {
		ssize_t n;

		if (buf_reserve(b, RELAY_BUFFER_BYTES - b->len) < 0)
			return false;
		n = read_fn(p, b->data + b->len, RELAY_BUFFER_BYTES - b->len);
		if (n < 0)
			return relay_may_try_again(n);
		*ended = n == 0;
		b->len += (size_t)n;
	}
	return true;
}

static bool relay_empty(struct relay_pair *p, struct buf *b,
			ssize_t (*write_fn)(struct relay_pair *, const void *,
					    size_t))
{
	while (b->len) {
		ssize_t n = write_fn(p, b->data, b->len);

		if (n < 0)
			return relay_may_try_again(n);
		buf_consume(b, (size_t)n);
	}
	return true;
}

/*
 * Moves what there is from one end to the other. TLS may hold decrypted bytes
 * that no event tells of, so a buffer that was filled to its bound and then
 * emptied is filled again; *more is set where that has to go on in the next
 * turn. False when the connection broke.
 */
static bool relay_move(struct relay_pair *p, struct buf *b, bool *ended,
		       ssize_t (*read_fn)(struct relay_pair *, void *, size_t),
		       ssize_t (*write_fn)(struct relay_pair *, const void *,
					   size_t),
		       bool *more)
{
	for (int i = 0; i < RELAY_ROUNDS; i++) {
		bool filled;

		if (!relay_fill(p, b, ended, read_fn))
			return false;
		filled = b->len >= RELAY_BUFFER_BYTES;
		if (!relay_empty(p, b, write_fn))
			return false;
		if (!filled || b->len)
			return true;
	}
	*more = true;
	return true;
}

static void relay_on_ready(int fd, short what, void *ctx);

static void relay_watch(struct relay_pair *p, struct event *event, int fd,
			bool readable, bool writable)
{
	short what = (short)((readable ? EV_READ : 0) |
			     (writable ? EV_WRITE : 0));

	event_del(event);
	event_assign(event, p->relay->base, fd, what, relay_on_ready, p);
	if (what)
		event_add(event, NULL);
}

static void relay_pair_pump(struct relay_pair *p)
{
	bool more = false, near_reads, far_reads;

	if (!relay_move(p, &p->up, &p->near_ended, relay_near_read,
			relay_far_write, &more) ||
	    !relay_move(p, &p->down, &p->far_ended, relay_far_read,
			relay_near_write, &more)) {
		relay_pair_close(p, "it broke");
		return;
	}
	/* Either end's end is the end: HTTP/2 knows no half of one. */
	if ((p->near_ended && !p->up.len) || (p->far_ended && !p->down.len)) {
		relay_pair_close(p, p->near_ended ? "the sidecar's end"
						  : "the backend's end");
		return;
	}
	near_reads = !p->near_ended && p->up.len < RELAY_BUFFER_BYTES;
	far_reads = !p->far_ended && p->down.len < RELAY_BUFFER_BYTES;
	relay_watch(p, p->near_event, p->near, near_reads, p->down.len);
	relay_watch(p, p->far_event, p->far->fd, far_reads,
		    p->up.len || p->far->wants_write);
	if (more)
		event_active(p->far_event, EV_READ, 0);
}

static void relay_pair_shake(struct relay_pair *p)
{
	const char *why = "the handshake failed";
	int r = p->far->ops->handshake(p->far, &why);

	if (r == -EAGAIN) {
		relay_watch(p, p->far_event, p->far->fd, !p->far->wants_write,
			    p->far->wants_write);
	} else if (r < 0) {
		log_warn(NULL, "relay: %s", why);
		relay_pair_close(p, why);
	} else {
		p->state = RELAY_OPEN;
		relay_pair_pump(p);
	}
}

static void relay_on_ready(int fd, short what, void *ctx)
{
	struct relay_pair *p = ctx;

	if (p->state == RELAY_SHAKING)
		relay_pair_shake(p);
	else if (p->state == RELAY_OPEN)
		relay_pair_pump(p);
}

static void relay_on_dialed(void *ctx, int fd, const char *why);

static int relay_pair_dial(struct relay_pair *p)
{
	p->to = endpoint_list_get(&p->relay->endpoints);
	p->tries++;
	return dial_start(&p->dial, p->relay->base, p->to, relay_on_dialed, p);
}

/* The next backend of the list, unless each was tried. All pairs go to the
 * same one, as long as it can be reached. */
static int relay_pair_dial_next(struct relay_pair *p)
{
	struct endpoint_list *list = &p->relay->endpoints;

	if (p->tries >= list->n)
		return -EHOSTUNREACH;
	if (p->to == endpoint_list_get(list))
		endpoint_list_next(list);
	dial_free(p->dial);
	p->dial = NULL;
	return relay_pair_dial(p);
}

static void relay_on_dialed(void *ctx, int fd, const char *why)
{
	struct relay_pair *p = ctx;
	struct relay *relay = p->relay;
	int r;

	if (fd < 0 && relay_pair_dial_next(p) == 0)
		return;
	if (fd < 0) {
		log_warn(NULL, "relay: cannot reach the backend: %s", why);
		relay_pair_close(p, why);
		return;
	}
	r = p->to->kind == ENDPOINT_TLS
		    ? transport_tls->transport_new(&p->far, relay->tls_context,
						   fd, p->to->host)
		    : transport_plain_new(&p->far, fd);
	if (r < 0) {
		p->far = NULL;
		relay_pair_close(p, strerror(-r));
		return;
	}
	p->state = RELAY_SHAKING;
	relay_pair_shake(p);
}

static int relay_pair_new(struct relay *relay, int fd)
{
	struct relay_pair *p = calloc(1, sizeof(*p));

	if (!p) {
		close(fd);
		return -ENOMEM;
	}
	p->relay = relay;
	p->near = fd;
	LIST_INSERT_HEAD(&relay->pairs, p, link);
	relay->n_pairs++;
	p->near_event = event_new(relay->base, fd, 0, relay_on_ready, p);
	p->far_event = event_new(relay->base, -1, 0, relay_on_ready, p);
	if (!p->near_event || !p->far_event || relay_pair_dial(p) < 0) {
		relay_pair_close(p, "out of memory");
		return -ENOMEM;
	}
	return 0;
}

/* --- the listener --------------------------------------------------------- */

static void relay_pause(struct relay *r)
{
	const struct timeval t = clock_timeval(RELAY_PAUSE_MS);

	event_del(r->accept_event);
	event_add(r->pause, &t);
}

static void relay_on_pause_over(int fd, short what, void *ctx)
{
	struct relay *r = ctx;

	event_add(r->accept_event, NULL);
}

static void relay_on_accept(int listener, short what, void *ctx)
{
	struct relay *r = ctx;
	int fd;

	if (r->n_pairs >= RELAY_CONNECTIONS_MAX) {
		relay_pause(r);
		return;
	}
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		if (relay_pair_new(r, fd) < 0)
			log_error(NULL, "relay: out of memory");
	} else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
		log_error(NULL, "relay: accept: %s", strerror(errno));
		relay_pause(r);
	}
}

static void relay_on_turn(int fd, short what, void *ctx)
{
	struct relay *r = ctx;
	struct relay_pair *p, *next;

	for (p = LIST_FIRST(&r->pairs); p; p = next) {
		next = LIST_NEXT(p, link);
		if (p->state == RELAY_CLOSED)
			relay_pair_free(p);
	}
}

static int relay_listen(struct relay *r)
{
	struct sockaddr_un addr;
	int e = unix_socket_address(&addr, r->path);

	if (e < 0)
		return e;
	r->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (r->fd < 0)
		return -errno;
	unlink(r->path);
	/* Pods have users of their own; the directory decides who gets here. */
	if (bind(r->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    chmod(r->path, 0666) < 0 || listen(r->fd, RELAY_BACKLOG) < 0)
		return -errno;
	r->accept_event = event_new(r->base, r->fd, EV_READ | EV_PERSIST,
				    relay_on_accept, r);
	if (!r->accept_event || event_add(r->accept_event, NULL) < 0)
		return -ENOMEM;
	return 0;
}

static int relay_init(struct relay *r, const char *endpoint,
		      const char *ca_file)
{
	int e;

	e = endpoint_list_parse(&r->endpoints, endpoint);
	if (!e && endpoint_list_has_tls(&r->endpoints))
		e = transport_tls->context_new(&r->tls_context, ca_file);
	if (e < 0)
		return e;
	r->turn = event_new(r->base, -1, 0, relay_on_turn, r);
	r->pause = evtimer_new(r->base, relay_on_pause_over, r);
	if (!r->turn || !r->pause)
		return -ENOMEM;
	return relay_listen(r);
}

int relay_new(struct relay **out, struct event_base *base, const char *path,
	      const char *endpoint, const char *ca_file)
{
	struct relay *r = calloc(1, sizeof(*r));
	int e;

	*out = NULL;
	if (!r)
		return -ENOMEM;
	r->base = base;
	r->fd = -1;
	LIST_INIT(&r->pairs);
	r->path = strdup(path);
	e = r->path ? relay_init(r, endpoint, ca_file) : -ENOMEM;
	if (e < 0) {
		relay_free(r);
		return e;
	}
	*out = r;
	return 0;
}

void relay_free(struct relay *r)
{
	struct relay_pair *p;

	if (!r)
		return;
	while ((p = LIST_FIRST(&r->pairs)))
		relay_pair_free(p);
	if (r->accept_event)
		event_free(r->accept_event);
	if (r->pause)
		event_free(r->pause);
	if (r->turn)
		event_free(r->turn);
	if (r->fd >= 0) {
		close(r->fd);
		unlink(r->path);
	}
	if (r->tls_context)
		transport_tls->context_free(r->tls_context);
	endpoint_list_deinit(&r->endpoints);
	free(r->path);
	free(r);
}
