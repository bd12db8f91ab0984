#include "common/unix_socket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNIX_SOCKET_BACKLOG 1024

int unix_socket_address(struct sockaddr_un *out, const char *path)
{
	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(out->sun_path))
		return -ENAMETOOLONG;
	strcpy(out->sun_path, path);
	return 0;
}

int unix_socket_address_in(struct sockaddr_un *out, const char *dir,
			   const char *name)
{
	int n;

	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	n = snprintf(out->sun_path, sizeof(out->sun_path), "%s/%s", dir, name);
	return n < 0 || (size_t)n >= sizeof(out->sun_path) ? -ENAMETOOLONG : 0;
}

static int connect_to(const struct sockaddr_un *addr, int type)
{
	_cleanup_close_ int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0 ||
	    connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0)
		return -errno;
	r = fd;
	fd = -1;
	return r;
}

int unix_socket_connect(const struct sockaddr_un *addr, int flags)
{
	return connect_to(addr, SOCK_STREAM | flags);
}

int unix_socket_connect_packets(const struct sockaddr_un *addr, int flags)
{
	return connect_to(addr, SOCK_SEQPACKET | flags);
}

static int remove_stale(const struct sockaddr_un *addr, int type)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (lstat(addr->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = connect_to(addr, type | SOCK_NONBLOCK);
	if (fd >= 0 || fd == -EAGAIN)
		return -EADDRINUSE;
	if (fd != -ECONNREFUSED)
		return fd;
	return unlink(addr->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static int listen_at(const struct sockaddr_un *addr, int type, mode_t mode)
{
	_cleanup_close_ int fd = -1;
	int r;

	fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* Before bind, so that it is never wider than asked for; the umask
	 * narrows it further, which chmod() mends. */
	if (fchmod(fd, mode) < 0 ||
	    bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0)
		return -errno;
	if (chmod(addr->sun_path, mode) < 0 ||
	    listen(fd, UNIX_SOCKET_BACKLOG) < 0) {
		r = -errno;
		unlink(addr->sun_path);
		return r;
	}
	r = fd;
	fd = -1;
	return r;
}

static int replace_and_listen(const struct sockaddr_un *addr, int type,
			      mode_t mode)
{
	int r = remove_stale(addr, type);

	return r < 0 ? r : listen_at(addr, type, mode);
}

int unix_socket_listen(const struct sockaddr_un *addr, mode_t mode)
{
	return replace_and_listen(addr, SOCK_STREAM, mode);
}

int unix_socket_listen_packets(const struct sockaddr_un *addr, mode_t mode)
{
	return replace_and_listen(addr, SOCK_SEQPACKET, mode);
}
