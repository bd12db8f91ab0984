/*
 * What the script's side uses, as the runner sees it from inside: its cgroup
 * where the pod has one that can be seen (a container), else its processes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/macro.h"

struct buf;

/* The most memory that the pod's own cgroup had; -1: unknown. */
int64_t usage_peak_memory(void);
/* Appends the JSON of USAGE. own_cgroup: what is mounted at /sys/fs/cgroup is
 * the pod's. 0, -ENOMEM, or negative errno: nothing can be seen. */
int usage_append(bool own_cgroup, struct buf *out) MUST_CHECK;
