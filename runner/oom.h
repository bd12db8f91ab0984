/* Whether the kernel killed somebody in our cgroup for want of memory. */
#pragma once

#include <stdint.h>

/* The cgroup's count so far, v2 or v1; 0 where it cannot be seen. */
uint64_t oom_kills(void);
