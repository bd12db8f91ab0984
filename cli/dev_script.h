/* The script of `cronium dev`: a child that has our terminal, and what a pod
 * would have in its environment. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "common/macro.h"

struct dev_script {
	char *const *argv;
	const char *api, *token, *execution, *job, *trace;
	const char *sdk_dir;     /* NULL: there is none */
	const char *modules_dir; /* has cronium/ in it, for Node and Bun */
	bool stdout_is_ours;     /* its standard output goes to stderr */
};

/* The pid, or negative errno. A program that cannot be run ends with 126 or
 * 127, as in a shell, after a message. */
pid_t dev_script_start(const struct dev_script *s) MUST_CHECK;
