/* Where this host keeps its cgroups. */
#pragma once

#include <stdbool.h>

#include "common/macro.h"

/*
 * The hierarchy that has the v1 controller (NULL asks for the v2 one):
 * its mount point and our own cgroup in it ("/" is the root). 0 with two
 * strings to free(), -ENOENT, or -ENOMEM.
 */
int cgroup_mount_find(const char *controller, char **mount,
		      char **own) MUST_CHECK;
