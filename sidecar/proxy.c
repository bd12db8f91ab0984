#include "sidecar/proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "common/address.h"
#include "common/net_host.h"
#include "common/options.h"
#include "sidecar/proxy_impl.h"

#define PROXY_ACCEPTS_PER_TURN 32
#define PROXY_BACKLOG 512

void proxy_wake(struct proxy *p)
{
	event_active(p->turn, EV_TIMEOUT, 0);
}

uint32_t proxy_connections(const struct proxy *p)
{
	return p->n_conns;
}

/* --- connections ---------------------------------------------------------- */

void proxy_adopt(struct proxy *p, int fd)
{
	struct proxy_conn *c;
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (p->n_conns >= PROXY_CONNECTIONS_MAX) {
		close(fd);
		return;
	}
	if (proxy_conn_new(&c, p, fd) < 0)
		return;
	TAILQ_INSERT_TAIL(&p->conns, c, link);
	p->n_conns++;
}

static void proxy_on_acceptable(evutil_socket_t listener, short what, void *ctx)
{
	struct proxy *p = ctx;

	for (int i = 0; i < PROXY_ACCEPTS_PER_TURN; i++) {
		int fd;

		if (p->n_conns >= PROXY_CONNECTIONS_MAX)
			break;
		fd = accept4(listener, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		proxy_adopt(p, fd);
	}
	proxy_wake(p);
}

/* The socket's backlog holds those who come while there is no room. */
static void proxy_settle_listeners(struct proxy *p)
{
	for (size_t i = 0; i < p->n_listeners; i++)
		if (p->n_conns < PROXY_CONNECTIONS_MAX)
			event_add(p->listeners[i], NULL);
		else
			event_del(p->listeners[i]);
}

static void proxy_on_turn(evutil_socket_t fd, short what, void *ctx)
{
	struct proxy *p = ctx;
	struct proxy_conn *c;

	while ((c = TAILQ_FIRST(&p->dead))) {
		TAILQ_REMOVE(&p->dead, c, link);
		proxy_conn_free(c);
		p->n_conns--;
	}
	while ((c = TAILQ_FIRST(&p->waiting)) && proxy_conn_open(c))
		;
	proxy_settle_listeners(p);
}

/* --- listening ------------------------------------------------------------ */

static int proxy_add_listener(struct proxy *p, int fd)
{
	struct event *ev;

	ev = p->n_listeners == PROXY_LISTENERS_MAX
		     ? NULL
		     : event_new(p->base, fd, EV_READ | EV_PERSIST,
				 proxy_on_acceptable, p);
	if (!ev || event_add(ev, NULL) < 0) {
		if (ev)
			event_free(ev);
		close(fd);
		return -ENOMEM;
	}
	p->listeners[p->n_listeners++] = ev;
	return 0;
}

static int proxy_listen_fd(struct proxy *p, const char *number)
{
	uint64_t n;
	int fd;

	if (option_parse_uint(number, &n) < 0 || n > INT32_MAX)
		return -EINVAL;
	fd = (int)n;
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
	    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		return -errno;
	return proxy_add_listener(p, fd);
}

static int proxy_listen_at(struct proxy *p, const struct sockaddr *addr,
			   socklen_t len)
{
	int one = 1, r;
	int fd = socket(addr->sa_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (addr->sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, addr, len) < 0 || listen(fd, PROXY_BACKLOG) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return proxy_add_listener(p, fd);
}

int proxy_listen(struct proxy *p, const char *address)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	char host[NET_HOST_BYTES];
	enum net_host_kind kind;
	uint16_t port = 0;
	int r;

	if (!strncmp(address, "fd:", 3))
		return proxy_listen_fd(p, address + 3);
	if (net_host_split(address, strlen(address), host, &kind, &port) < 0 ||
	    !port || (strcmp(host, "localhost") && strcmp(host, "127.0.0.1")))
		return -EINVAL;
	v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	v4.sin_port = v6.sin6_port = htons(port);
	r = proxy_listen_at(p, (struct sockaddr *)&v4, sizeof(v4));
	if (r < 0)
		return r;
	/* IPv6 is a bonus: containers often have none. */
	r = proxy_listen_at(p, (struct sockaddr *)&v6, sizeof(v6));
	return r == -ENOMEM ? r : 0;
}

/* --- life ----------------------------------------------------------------- */

int proxy_new(struct proxy **out, struct event_base *base, struct door *door,
	      struct metrics *metrics)
{
	struct proxy *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->base = base;
	p->door = door;
	p->metrics = metrics;
	TAILQ_INIT(&p->conns);
	TAILQ_INIT(&p->dead);
	TAILQ_INIT(&p->waiting);
	p->turn = event_new(base, -1, 0, proxy_on_turn, p);
	p->scratch = malloc(PROXY_PUMP_BYTES);
	if (!p->turn || !p->scratch) {
		proxy_free(p);
		return -ENOMEM;
	}
	*out = p;
	return 0;
}

void proxy_free(struct proxy *p)
{
	struct proxy_conn *c;

	if (!p)
		return;
	while ((c = TAILQ_FIRST(&p->conns)))
		proxy_conn_close(c);
	while ((c = TAILQ_FIRST(&p->dead))) {
		TAILQ_REMOVE(&p->dead, c, link);
		proxy_conn_free(c);
	}
	for (size_t i = 0; i < p->n_listeners; i++) {
		close(event_get_fd(p->listeners[i]));
		event_free(p->listeners[i]);
	}
	if (p->turn)
		event_free(p->turn);
	free(p->scratch);
	free(p);
}
