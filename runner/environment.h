/*
 * The script's environment. The runner's own, the pod's (an image's ENV) or
 * the host's, is passed on as far as the permission `env` goes, without the
 * names that would change what is loaded; in a pod PATH, LANG and TZ need no
 * permission.
 */
#pragma once

#include <stdbool.h>

#include "runner/assignment.h"

#define ENVIRONMENT_PATH \
	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* NULL without memory. */
char **environment_new(const struct assignment *a, bool of_pod);
void environment_free(char **env);
DEFINE_CLEANUP(char **, environment_free)
