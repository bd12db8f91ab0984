#include "sidecar/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/http/server.h"
#include "common/options.h"

#define DEFAULT_ADDRESS "localhost:8081"
/* Requests come by the door alone. */
#define NOWHERE "none"
#define HOST_MAX_BYTES 256

struct listening {
	struct http_server *server;
	struct http_tls *tls;
	const void *tag;
	struct buf *bound;
};

static int note(struct listening *l, const char *host, uint16_t port)
{
	bool v6 = strchr(host, ':');

	return buf_printf(l->bound, "%s\"%s%s%s:%u\"",
			  l->bound->data[l->bound->len - 1] == '[' ? "" : ",",
			  v6 ? "[" : "", host, v6 ? "]" : "", port);
}

/* "HOST:PORT" or "[HOST]:PORT". */
static int parse(const char *address, char host[HOST_MAX_BYTES], uint16_t *port)
{
	const char *colon = strrchr(address, ':'), *end = colon;
	uint64_t n;

	if (!colon || option_parse_uint(colon + 1, &n) < 0 || n > UINT16_MAX)
		return -EINVAL;
	if (*address == '[' && end > address && end[-1] == ']') {
		address++;
		end--;
	}
	if (end == address || (size_t)(end - address) >= HOST_MAX_BYTES)
		return -EINVAL;
	memcpy(host, address, (size_t)(end - address));
	host[end - address] = '\0';
	*port = (uint16_t)n;
	return 0;
}

static int listen_tcp(struct listening *l, const char *host, uint16_t port)
{
	uint16_t bound;
	int r = http_server_listen_tcp(l->server, host, port, l->tls, l->tag,
				       &bound);

	if (r < 0)
		return r;
	return note(l, host, bound);
}

/* IPv6 is a bonus: containers often have none. */
static int listen_loopback(struct listening *l, uint16_t port)
{
	uint16_t bound;
	int r = http_server_listen_tcp(l->server, "127.0.0.1", port, l->tls,
				       l->tag, &bound);

	if (r < 0)
		return r;
	r = note(l, "127.0.0.1", bound);
	if (r < 0)
		return r;
	r = listen_tcp(l, "::1", bound);
	return r == -ENOMEM ? r : 0;
}

static int listen_fd(struct listening *l, const char *number)
{
	uint64_t n;
	int fd, r;

	if (option_parse_uint(number, &n) < 0 || n > INT32_MAX)
		return -EINVAL;
	fd = (int)n;
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
	    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		return -errno;
	r = http_server_listen_fd(l->server, fd, NULL);
	return r ? r : note(l, "fd", (uint16_t)n);
}

static int listen_one(struct listening *l, const char *address)
{
	char host[HOST_MAX_BYTES];
	uint16_t port;

	if (!strncmp(address, "fd:", 3) && !l->tls)
		return listen_fd(l, address + 3);
	if (parse(address, host, &port) < 0)
		return -EINVAL;
	if (!strcmp(host, "localhost") || !strcmp(host, "127.0.0.1"))
		return listen_loopback(l, port);
	return listen_tcp(l, host, port);
}

static int listen_each(struct listening *l, const struct option_list *addresses,
		       char *err, size_t err_size)
{
	int r = buf_append(l->bound, "[", 1);

	for (size_t i = 0; r == 0 && i < addresses->n; i++) {
		if (!strcmp(addresses->items[i], NOWHERE))
			continue;
		r = listen_one(l, addresses->items[i]);
		if (r == -EINVAL)
			snprintf(err, err_size,
				 "\"%s\" is no address to listen on: --listen "
				 "takes HOST:PORT, fd:N or none",
				 addresses->items[i]);
		else if (r < 0)
			snprintf(err, err_size, "cannot listen on %s: %s",
				 addresses->items[i], strerror(-r));
	}
	return r ? r : buf_append(l->bound, "]", 1);
}

int listen_all(struct http_server *server, const struct option_list *addresses,
	       struct buf *bound, char *err, size_t err_size)
{
	static const char *initial[] = { DEFAULT_ADDRESS };
	const struct option_list by_default = { initial, 1 };
	struct listening l = { .server = server, .bound = bound };

	return listen_each(&l, addresses->n ? addresses : &by_default, err,
			   err_size);
}

int listen_tls(struct http_server *server, const struct option_list *addresses,
	       struct http_tls *tls, struct buf *bound, char *err,
	       size_t err_size)
{
	struct listening l = { .server = server, .tls = tls, .bound = bound };

	return listen_each(&l, addresses, err, err_size);
}

int listen_tagged(struct http_server *server,
		  const struct option_list *addresses, const void *tag,
		  struct buf *bound, char *err, size_t err_size)
{
	struct listening l = { .server = server, .tag = tag, .bound = bound };

	return listen_each(&l, addresses, err, err_size);
}
