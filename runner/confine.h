/* What a script may not ask of the kernel, wherever it runs. */
#pragma once

#include "common/macro.h"

/*
 * Takes AF_VSOCK from the calling process and all that come from it: it leads
 * to the hypervisor, past every network namespace, and not every container
 * engine forbids it. Needs no_new_privs. 0 or negative errno.
 */
int confine(void) MUST_CHECK;

/*
 * In a pod whose files are a host's: takes unix sockets (an agent's, Docker's)
 * but those that are made in pairs, the keyrings, further namespaces, io_uring,
 * which is a way round all that, typing into terminals, and the other system
 * calls of the processor's 32-bit modes. The same.
 */
int confine_on_host(void) MUST_CHECK;
