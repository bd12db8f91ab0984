/* What a script may not ask the kernel for, as a seccomp program. */
#pragma once

#include "common/macro.h"

/* Makes the program once: a memory file for bwrap --seccomp, which each reader
 * opens anew (/proc/self/fd/N), for it is read to its end. A descriptor or
 * negative errno. */
int sandbox_seccomp_new(void) MUST_CHECK;
