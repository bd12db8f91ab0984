/* Finds a program along PATH. */
#pragma once

#include <limits.h>

#include "common/macro.h"

/* The real path, links followed, of the file called name in PATH (the usual
 * one where it is not set) that may be executed. 0, or -ENOENT. */
int program_find(const char *name, char out[PATH_MAX]) MUST_CHECK;
