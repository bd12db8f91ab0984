/*
 * The place of a script on a host: PID, mount, IPC and network namespaces, and
 * a user namespace where the runner is not root. Loopback is up, and nothing
 * else; the doors' listeners are made inside and handed out, so that who holds
 * them outside sees the connections.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/macro.h"
#include "runner/doors.h"

#define POD_WHY_BYTES 256

struct pod_spec {
	const struct doors *doors;
	const char *hosts; /* file that is shown as /etc/hosts, or NULL */
	bool keep_net;     /* the host's network stays */
	uid_t uid;         /* who we are, outside and inside */
	gid_t gid;
	bool new_user; /* set by pod_fork() */
};

/* What the child says when it is in place, or why it is not. */
struct pod_said {
	char why[POD_WHY_BYTES]; /* "" when all is well */
	int listeners[DOORS_MAX];
	size_t n;
};

/*
 * fork(2) into the namespaces: the child, 0, is their PID 1 and calls
 * pod_enter() next, which reports to `to`. Or negative errno.
 */
pid_t pod_fork(struct pod_spec *spec) MUST_CHECK;
/* In the child: does not come back when it fails. */
void pod_enter(const struct pod_spec *spec, int to);
/* In the parent: waits for the child's word, which may be its death. The
 * listeners are the caller's. 0 or negative errno with said->why set. */
int pod_wait(int from, struct pod_said *said) MUST_CHECK;
