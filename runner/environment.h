/*
 * The script's environment. In a pod the runner's own environment is the
 * pod's (an image's ENV, or what the sandbox was given), so it is kept;
 * outside one it belongs to somebody else, so it is not.
 */
#pragma once

#include <stdbool.h>

#include "runner/assignment.h"

#define ENVIRONMENT_PATH \
	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* NULL without memory. */
char **environment_new(const struct assignment *a, bool keep_own);
void environment_free(char **env);
DEFINE_CLEANUP(char **, environment_free)
