/* Where a command is, as execvp() would find it. */
#pragma once

#include <limits.h>
#include <stddef.h>

#include "common/macro.h"

/*
 * name in the directories of path (NULL: none), or name itself where it has a
 * slash. 0, -ENOENT, or -EACCES when it is there and may not be executed.
 */
int command_find(const char *name, const char *path,
		 char out[static PATH_MAX]) MUST_CHECK;
