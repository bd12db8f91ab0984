/* The network namespace of a pod, from inside: loopback, and who listens. */
#pragma once

#include "common/macro.h"
#include "runner/doors.h"

/* 0 or negative errno. */
int pod_net_up(void) MUST_CHECK;
/* A listening socket, at an address that lo gets where it has it not. Or
 * negative errno. */
int pod_net_listen(const union door_address *address) MUST_CHECK;
