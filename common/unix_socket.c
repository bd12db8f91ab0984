#include "common/unix_socket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

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

int unix_socket_connect(const struct sockaddr_un *addr, int flags)
{
	_cleanup_close_ int fd = socket(AF_UNIX,
					SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	int r;

	if (fd < 0 ||
	    connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0)
		return -errno;
	r = fd;
	fd = -1;
	return r;
}
