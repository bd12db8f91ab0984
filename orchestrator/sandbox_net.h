/*
 * The pod's network: a namespace of its own with nothing but loopback. A
 * listening socket belongs to the namespace it was made in, whoever holds it:
 * so the sidecar gets the pod's port without living in the pod.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/macro.h"

#define SANDBOX_NET_PORT 8081       /* the runtime API */
#define SANDBOX_NET_PROXY_PORT 8082 /* the egress proxy */

/* For sandbox_spawn.namespaces; an ordinary user needs a user namespace. */
uint64_t sandbox_net_namespaces(bool root);
/* In the child: keeps the caller's own ids valid in a new user namespace. */
int sandbox_net_map_ids(uid_t uid, gid_t gid) MUST_CHECK;
/* In a network namespace of one's own. 0 or negative errno. */
int sandbox_net_loopback_up(void) MUST_CHECK;
/* In the child, loopback up: listens on 127.0.0.1 and [::1]. A descriptor or
 * negative errno. */
int sandbox_net_listen(uint16_t port) MUST_CHECK;
