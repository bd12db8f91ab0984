/*
 * A pod's control listener: DIR/control.sock, which takes exactly one
 * connection, hands it over and is gone. Whoever comes later, from inside the
 * pod or elsewhere, finds nobody to talk to.
 */
#pragma once

#include "common/macro.h"

struct event_base;
struct control_socket;

/* Where a pod finds its control stream, below the mounted directory. */
#define CONTROL_SOCKET_NAME "control.sock"

/*
 * Makes dir (mode 0755: the pod's users differ from ours, its parent is
 * private) and listens. on_fd is called once, from the loop, with a connected
 * non-blocking socket that the receiver owns. 0 or negative errno.
 */
int control_socket_new(struct control_socket **out, struct event_base *base,
		       const char *dir, void (*on_fd)(void *ctx, int fd),
		       void *ctx) MUST_CHECK;
/* Also removes the socket file, not the directory. */
void control_socket_free(struct control_socket *s);
