/* Unix sockets: their short addresses, and connecting to them. */
#pragma once

#include <sys/un.h>

#include "common/macro.h"

/* The address of a path, or of DIR/NAME. 0, or -ENAMETOOLONG where it does not
 * fit: choose a shorter directory. */
int unix_socket_address(struct sockaddr_un *out, const char *path) MUST_CHECK;
int unix_socket_address_in(struct sockaddr_un *out, const char *dir,
			   const char *name) MUST_CHECK;

/* A connected descriptor (close-on-exec; flags: 0 or SOCK_NONBLOCK), or
 * negative errno. */
int unix_socket_connect(const struct sockaddr_un *addr, int flags) MUST_CHECK;
