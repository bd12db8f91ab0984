#include "common/http/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/http/server.h"
#include "common/http/server_state.h"
#include "common/http/transport.h"
#include "common/unix_socket.h"

#define ACCEPTS_PER_TURN 64
#define ACCEPT_PAUSE_MS 100 /* when there are no descriptors or memory */
#define LISTEN_BACKLOG 1024
#define PEER_V6_PREFIX_BYTES 8 /* one customer has so much, at least */

struct listener {
	TAILQ_ENTRY(listener) link;
	struct http_server *server;
	int fd;
	struct event *ev;
	struct event *resume_ev;
	struct http_tls *tls;
	const void *tag;
	char *path; /* of a unix socket that we made */
	dev_t dev;
	ino_t ino;
};

/* --- accepting ---------------------------------------------------------- */

static void peer_fill(struct http_peer *peer, bool is_tls, const void *tag,
		      int fd, const struct sockaddr_storage *addr)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;
	const struct sockaddr_in *in = (const struct sockaddr_in *)addr;
	static const uint8_t v4_mapped[12] = { [10] = 0xff, [11] = 0xff };
	char ip[INET6_ADDRSTRLEN] = "?";
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	*peer = (struct http_peer){ .is_tls = is_tls,
				    .listener_tag = tag,
				    .uid = (uid_t)-1,
				    .gid = (gid_t)-1 };
	if (addr->ss_family == AF_UNIX) {
		peer->is_unix = true;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0) {
			peer->uid = cred.uid;
			peer->gid = cred.gid;
			peer->pid = cred.pid;
		}
		snprintf(peer->address, sizeof(peer->address), "unix:%d",
			 (int)peer->pid);
	} else if (addr->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
		memcpy(peer->network, &in6->sin6_addr, PEER_V6_PREFIX_BYTES);
		snprintf(peer->address, sizeof(peer->address), "[%s]:%u", ip,
			 ntohs(in6->sin6_port));
	} else {
		inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip));
		memcpy(peer->network, v4_mapped, sizeof(v4_mapped));
		memcpy(peer->network + sizeof(v4_mapped), &in->sin_addr, 4);
		snprintf(peer->address, sizeof(peer->address), "%s:%u", ip,
			 ntohs(in->sin_port));
	}
}

static int listener_adopt(struct http_server *s, struct http_tls *tls,
			  const void *tag, int fd,
			  const struct sockaddr_storage *addr)
{
	struct transport *transport;
	struct http_peer peer;
	int one = 1;

	peer_fill(&peer, tls != NULL, tag, fd, addr);
	if (!peer.is_unix)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	transport = tls ? tls->accept(tls, fd) : transport_new_plain(fd);
	if (!transport) {
		close(fd);
		return -ENOMEM;
	}
	server_adopt(s, transport, &peer);
	return 0;
}

static void listener_take(struct listener *l, int fd,
			  const struct sockaddr_storage *addr)
{
	(void)listener_adopt(l->server, l->tls, l->tag, fd, addr);
}

int http_server_adopt(struct http_server *s, int fd, const void *tag)
{
	struct sockaddr_storage addr = { 0 };
	socklen_t len = sizeof(addr);
	int flags = fcntl(fd, F_GETFL), r;

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    getpeername(fd, (struct sockaddr *)&addr, &len) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	server_enter(s);
	r = listener_adopt(s, NULL, tag, fd, &addr);
	server_leave(s);
	return r;
}

/* For a moment: there are no descriptors left. */
static void listener_pause(struct listener *l)
{
	const struct timeval tv = clock_timeval(ACCEPT_PAUSE_MS);

	event_del(l->ev);
	event_add(l->resume_ev, &tv);
}

/* False when there is nothing to accept, or no way to do it now. */
static bool listener_accept(struct listener *l)
{
	struct sockaddr_storage addr = { 0 };
	socklen_t len = sizeof(addr);
	int fd;

	fd = accept4(l->fd, (struct sockaddr *)&addr, &len,
		     SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		listener_take(l, fd, &addr);
		return true;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
	    errno == ENOMEM)
		listener_pause(l);
	else if (errno == ECONNABORTED || errno == EINTR)
		return true;
	return false;
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;
	struct http_server *s = l->server;
	int i;

	server_enter(s);
	for (i = 0; i < ACCEPTS_PER_TURN; i++)
		if (!listener_accept(l))
			break;
	server_leave(s);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;

	event_add(l->ev, NULL);
}

/* --- life --------------------------------------------------------------- */

void listener_free(struct listener *l)
{
	struct stat st;

	if (l->ev)
		event_free(l->ev);
	if (l->resume_ev)
		event_free(l->resume_ev);
	if (l->path && lstat(l->path, &st) == 0 && st.st_dev == l->dev &&
	    st.st_ino == l->ino)
		unlink(l->path);
	close(l->fd);
	TAILQ_REMOVE(&l->server->listeners, l, link);
	free(l->path);
	free(l);
}

/* Takes fd, also on error. */
static int listener_new(struct listener **out, struct http_server *s, int fd,
			struct http_tls *tls, const void *tag)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (!l) {
		close(fd);
		return -ENOMEM;
	}
	l->server = s;
	l->fd = fd;
	l->tls = tls;
	l->tag = tag;
	TAILQ_INSERT_TAIL(&s->listeners, l, link);
	l->ev = event_new(s->base, fd, EV_READ | EV_PERSIST, on_acceptable, l);
	l->resume_ev = event_new(s->base, -1, 0, on_resume, l);
	if (!l->ev || !l->resume_ev || event_add(l->ev, NULL) < 0) {
		listener_free(l);
		return -ENOMEM;
	}
	*out = l;
	return 0;
}

/* --- TCP ---------------------------------------------------------------- */

static int tcp_socket(const struct addrinfo *ai, uint16_t port)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_storage addr = { 0 };
	int one = 1, r;

	memcpy(&addr, ai->ai_addr, ai->ai_addrlen);
	if (ai->ai_family == AF_INET6)
		((struct sockaddr_in6 *)&addr)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)&addr)->sin_port = htons(port);
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
		    0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&addr, ai->ai_addrlen) < 0 ||
	    listen(fd, LISTEN_BACKLOG) < 0)
		return -errno;
	r = fd;
	fd = -1;
	return r;
}

static int tcp_port(int fd, uint16_t *port)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);

	if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
		return -errno;
	*port = ntohs(addr.ss_family == AF_INET6
			      ? ((struct sockaddr_in6 *)&addr)->sin6_port
			      : ((struct sockaddr_in *)&addr)->sin_port);
	return 0;
}

static int tcp_resolve(const char *host, struct addrinfo **out)
{
	static const struct addrinfo hints = { .ai_family = AF_UNSPEC,
					       .ai_socktype = SOCK_STREAM,
					       .ai_flags = AI_PASSIVE };
	int r = getaddrinfo(host, NULL, &hints, out);

	if (!r)
		return 0;
	if (r == EAI_MEMORY)
		return -ENOMEM;
	return r == EAI_SYSTEM ? -errno : -EADDRNOTAVAIL;
}

/* Every address of the host, all on one port; one that works is enough. */
int http_server_listen_tcp(struct http_server *s, const char *host,
			   uint16_t port, struct http_tls *tls, const void *tag,
			   uint16_t *bound)
{
	struct addrinfo *list, *ai;
	bool listening = false;
	struct listener *l;
	int fd, r, failure = -EADDRNOTAVAIL;

	r = tcp_resolve(host, &list);
	if (r < 0)
		return r;
	for (ai = list; ai; ai = ai->ai_next) {
		fd = tcp_socket(ai, port);
		if (fd < 0) {
			failure = fd;
			continue;
		}
		r = tcp_port(fd, &port);
		if (r < 0)
			close(fd);
		else
			r = listener_new(&l, s, fd, tls, tag);
		if (r < 0)
			failure = r;
		else
			listening = true;
	}
	freeaddrinfo(list);
	if (!listening)
		return failure;
	if (bound)
		*bound = port;
	return 0;
}

/* --- unix --------------------------------------------------------------- */

int http_server_listen_unix(struct http_server *s, const char *path,
			    mode_t mode, const void *tag)
{
	struct sockaddr_un addr;
	struct listener *l;
	struct stat st;
	int fd, r;

	r = unix_socket_address(&addr, path);
	if (r < 0)
		return r;
	fd = unix_socket_listen(&addr, mode);
	if (fd < 0)
		return fd;
	r = listener_new(&l, s, fd, NULL, tag);
	if (r < 0) {
		unlink(path);
		return r;
	}
	l->path = strdup(path);
	if (l->path && lstat(path, &st) == 0) {
		l->dev = st.st_dev;
		l->ino = st.st_ino;
	}
	return 0;
}

int http_server_listen_fd(struct http_server *s, int fd, const void *tag)
{
	struct listener *l;
	int flags = fcntl(fd, F_GETFL), r;

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return listener_new(&l, s, fd, NULL, tag);
}
