/*
 * A pod's listener, DIR/control.sock or DIR/door.sock: it takes exactly one
 * connection, hands it over and is gone. Whoever comes later, from inside the
 * pod or elsewhere, finds nobody to talk to.
 */
#pragma once

#include <stdbool.h>

#include "common/macro.h"

struct event_base;
struct control_socket;

/* Where a pod finds its control stream, below the mounted directory. */
#define CONTROL_SOCKET_NAME "control.sock" /* SOCK_STREAM */
#define CONTROL_SOCKET_DOOR "door.sock"    /* SOCK_SEQPACKET: door.h */

/*
 * Makes dir (mode 0755: the pod's users differ from ours, its parent is
 * private) and listens there; name is one of the above. on_fd is called once,
 * from the loop, with a connected non-blocking socket that the receiver owns.
 * Whom admits, which may be NULL, says no to is turned away, and the next one
 * is heard. 0 or negative errno.
 */
int control_socket_new(struct control_socket **out, struct event_base *base,
		       const char *dir, const char *name,
		       bool (*admits)(int fd), void (*on_fd)(void *ctx, int fd),
		       void *ctx) MUST_CHECK;
/* Also removes the socket file, not the directory. */
void control_socket_free(struct control_socket *s);
