#include "cli/http_probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

static int probe_connect(const struct sockaddr *addr, socklen_t len)
{
	const struct timeval tv = { HTTP_PROBE_TIMEOUT_S, 0 };
	int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	if (!connect(fd, addr, len))
		return fd;
	r = -errno;
	close(fd);
	return r;
}

int http_probe(const struct sockaddr *addr, socklen_t len, const char *path,
	       struct http_probe *out)
{
	_cleanup_close_ int fd = probe_connect(addr, len);
	char request[256];
	size_t n = 0;
	ssize_t got = 0;

	if (fd < 0)
		return fd;
	snprintf(request, sizeof(request),
		 "GET %s HTTP/1.1\r\nHost: localhost\r\n"
		 "Connection: close\r\n\r\n",
		 path);
	if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
		return -errno;
	do {
		n += (size_t)got;
		out->head[n] = '\0';
		if (strstr(out->head, "\r\n\r\n"))
			break;
		got = recv(fd, out->head + n, sizeof(out->head) - 1 - n, 0);
	} while (got > 0);
	if (strncmp(out->head, "HTTP/1.", 7) != 0 || n < 12)
		return got < 0 ? -errno : -EPROTO;
	out->status = atoi(out->head + 9);
	return 0;
}

void http_probe_header(const struct http_probe *p, const char *name, char *out,
		       size_t size)
{
	const char *line = p->head;
	size_t len = strlen(name);

	snprintf(out, size, "%s", "");
	while ((line = strstr(line, "\r\n"))) {
		line += 2;
		if (strncasecmp(line, name, len) != 0)
			continue;
		line += len + strspn(line + len, " ");
		snprintf(out, size, "%.*s", (int)strcspn(line, "\r\n"), line);
		return;
	}
}
