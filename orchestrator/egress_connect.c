#include "orchestrator/egress_connect.h"

#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "backend-client/resolve.h"
#include "common/address.h"
#include "common/allow_list.h"
#include "common/clock.h"
#include "common/net_host.h"

struct egress_connect {
	struct event_base *base;
	const struct allow_list *allow;
	char host[NET_HOST_BYTES];
	uint16_t port;
	struct resolve *resolve;
	struct addrinfo *addresses, *next; /* those not tried yet */
	int fd;                            /* being connected, or -1 */
	char address[ADDRESS_TEXT_BYTES];  /* of fd, or the last one */
	int error;                         /* of the last one */
	struct event *io;                  /* of fd, with its deadline */
	struct event *deadline;
	egress_connect_fn done;
	void *ctx;
};

static void egress_connect_next(struct egress_connect *c);

/* --- the end -------------------------------------------------------------- */

static void egress_connect_finish(struct egress_connect *c,
				  const struct egress_connect_result *result)
{
	event_del(c->deadline);
	c->done(c->ctx, result);
}

static void PRINTF_LIKE(3, 4)
	egress_connect_refuse(struct egress_connect *c, const char *refused,
			      const char *fmt, ...)
{
	char detail[EGRESS_CONNECT_DETAIL_BYTES];
	va_list args;

	va_start(args, fmt);
	vsnprintf(detail, sizeof(detail), fmt, args);
	va_end(args);
	egress_connect_finish(c, &(struct egress_connect_result){
					 .fd = -1,
					 .refused = refused,
					 .detail = detail,
				 });
}

static void egress_connect_close(struct egress_connect *c)
{
	if (c->io)
		event_free(c->io);
	c->io = NULL;
	closep(&c->fd);
	c->fd = -1;
}

static void egress_connect_on_deadline(int fd, short what, void *ctx)
{
	struct egress_connect *c = ctx;

	resolve_free(c->resolve);
	c->resolve = NULL;
	egress_connect_close(c);
	egress_connect_refuse(c, "timeout",
			      "%s, port %u, did not answer within %d s: %s",
			      c->host, c->port, EGRESS_CONNECT_MS / 1000,
			      c->addresses ? "is the service up?"
					   : "its name could not be looked up");
}

/* --- addresses ------------------------------------------------------------ */

/* What this machine would reach at one of its own addresses is not the
 * internet, whatever the address is. Sends nothing. */
static bool egress_address_is_own(const struct addrinfo *a)
{
	_cleanup_close_ int fd = socket(a->ai_family, SOCK_DGRAM | SOCK_CLOEXEC,
					0);
	struct sockaddr_storage from = { 0 };
	socklen_t len = sizeof(from);
	uint8_t ours[ADDRESS_BYTES], theirs[ADDRESS_BYTES];
	uint16_t port;

	if (fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen) < 0 ||
	    getsockname(fd, (struct sockaddr *)&from, &len) < 0)
		return false;
	return address_bytes((struct sockaddr *)&from, ours, &port) &&
	       address_bytes(a->ai_addr, theirs, &port) &&
	       !memcmp(ours, theirs, sizeof(ours));
}

static bool egress_address_permitted(const struct egress_connect *c,
				     const struct addrinfo *a)
{
	if (allow_list_has(c->allow, c->host, a->ai_addr))
		return true;
	return address_is_public(a->ai_addr) && !egress_address_is_own(a);
}

/* All of them: a name of which some addresses are closed is a trick. */
static bool egress_connect_check(struct egress_connect *c)
{
	unsigned int n = 0;

	for (struct addrinfo *a = c->addresses; a; a = a->ai_next) {
		if (++n == EGRESS_CONNECT_ADDRESSES_MAX && a->ai_next) {
			freeaddrinfo(a->ai_next);
			a->ai_next = NULL;
		}
		if (egress_address_permitted(c, a))
			continue;
		address_text(a->ai_addr, c->address);
		egress_connect_refuse(
			c, "private",
			"%s leads to %s, which is no address of the public "
			"internet; whoever runs the orchestrator can allow it "
			"with --egress-allow",
			c->host, c->address);
		return false;
	}
	return true;
}

static void egress_connect_on_resolved(void *ctx, int error,
				       struct addrinfo *list)
{
	struct egress_connect *c = ctx;

	resolve_free(c->resolve);
	c->resolve = NULL;
	c->addresses = c->next = list;
	if (error || !list)
		egress_connect_refuse(c, "unresolved",
				      "%s cannot be looked up: %s", c->host,
				      error ? gai_strerror(error)
					    : "it has no address");
	else if (egress_connect_check(c))
		egress_connect_next(c);
}

/* --- connecting ----------------------------------------------------------- */

static void egress_connect_on_io(int fd, short what, void *ctx)
{
	struct egress_connect *c = ctx;
	struct egress_connect_result result = { .address = c->address };
	socklen_t len = sizeof(c->error);

	c->error = ETIMEDOUT;
	if (what & EV_WRITE)
		getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &c->error, &len);
	if (c->error) {
		egress_connect_close(c);
		egress_connect_next(c);
		return;
	}
	event_free(c->io);
	c->io = NULL;
	result.fd = c->fd;
	c->fd = -1;
	egress_connect_finish(c, &result);
}

/* 0 when the answer is waited for. */
static int egress_connect_try(struct egress_connect *c,
			      const struct addrinfo *a)
{
	const struct timeval tv = clock_timeval(EGRESS_CONNECT_ADDRESS_MS);
	int one = 1;

	address_text(a->ai_addr, c->address);
	c->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
		       0);
	if (c->fd < 0)
		return -errno;
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(c->fd, a->ai_addr, a->ai_addrlen) < 0 &&
	    errno != EINPROGRESS)
		return -errno;
	c->io = event_new(c->base, c->fd, EV_WRITE, egress_connect_on_io, c);
	if (!c->io || event_add(c->io, c->next ? &tv : NULL) < 0)
		return -ENOMEM;
	return 0;
}

static void egress_connect_next(struct egress_connect *c)
{
	while (c->next) {
		struct addrinfo *a = c->next;
		int r;

		c->next = a->ai_next;
		r = egress_connect_try(c, a);
		if (!r)
			return;
		c->error = -r;
		egress_connect_close(c);
	}
	egress_connect_refuse(c,
			      c->error == ETIMEDOUT ? "timeout" : "unreachable",
			      "%s, port %u, cannot be connected to at %s: %s",
			      c->host, c->port, c->address, strerror(c->error));
}

/* --- life ----------------------------------------------------------------- */

int egress_connect_start(struct egress_connect **out, struct event_base *base,
			 const struct allow_list *allow, const char *host,
			 uint16_t port, egress_connect_fn done, void *ctx)
{
	const struct timeval tv = clock_timeval(EGRESS_CONNECT_MS);
	struct egress_connect *c = calloc(1, sizeof(*c));
	int r = -ENOMEM;

	if (!c)
		return -ENOMEM;
	c->base = base;
	c->allow = allow;
	c->fd = -1;
	c->port = port;
	c->done = done;
	c->ctx = ctx;
	snprintf(c->host, sizeof(c->host), "%s", host);
	c->deadline = evtimer_new(base, egress_connect_on_deadline, c);
	if (c->deadline && event_add(c->deadline, &tv) == 0)
		r = resolve_start(&c->resolve, base, c->host, port,
				  egress_connect_on_resolved, c);
	if (r < 0) {
		egress_connect_free(c);
		return r;
	}
	*out = c;
	return 0;
}

void egress_connect_free(struct egress_connect *c)
{
	if (!c)
		return;
	resolve_free(c->resolve);
	egress_connect_close(c);
	if (c->addresses)
		freeaddrinfo(c->addresses);
	if (c->deadline)
		event_free(c->deadline);
	free(c);
}
