/* What a script may not ask of the kernel, wherever it runs. */
#pragma once

#include "common/macro.h"

/*
 * Takes AF_VSOCK from the calling process and all that come from it: it leads
 * to the hypervisor, past every network namespace, and not every container
 * engine forbids it. Needs no_new_privs. 0 or negative errno.
 */
int confine(void) MUST_CHECK;
