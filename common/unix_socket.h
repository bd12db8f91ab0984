/* Unix sockets: their short addresses, connecting to them, listening. */
#pragma once

#include <sys/types.h>
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

/* A listening descriptor (close-on-exec, non-blocking), or negative errno. A
 * stale socket file is replaced; -EADDRINUSE if somebody answers on it, -EEXIST
 * if it is something else. */
int unix_socket_listen(const struct sockaddr_un *addr, mode_t mode) MUST_CHECK;

/* The same, for messages: SOCK_SEQPACKET. */
int unix_socket_connect_packets(const struct sockaddr_un *addr,
				int flags) MUST_CHECK;
int unix_socket_listen_packets(const struct sockaddr_un *addr,
			       mode_t mode) MUST_CHECK;
