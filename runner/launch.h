/* Starts the script: one fork, one exec, and a precise answer if it fails. */
#pragma once

#include <sys/types.h>

#include "runner/assignment.h"

#define LAUNCH_PIPE_BYTES (1024 * 1024) /* asked for; what we get may be less */
#define LAUNCH_EXIT_NOT_FOUND 127       /* as a shell has it */
#define LAUNCH_EXIT_NOT_STARTED 126

/* All descriptors are ours, close-on-exec and non-blocking. */
struct launch {
	pid_t pid;
	int stdout_fd, stderr_fd;
	int status_fd; /* ends without a byte when exec succeeded */
	int gate_fd;   /* for gate_new(); -1 where nothing is confined */
};

/* What the child writes to status_fd. */
struct launch_failure {
	int step;
	int error;
};

/* in_pod: see environment.h. 0 or negative errno. */
int launch_script(const struct assignment *a, const struct limits *limits,
		  bool in_pod, struct launch *out) MUST_CHECK;

/* Says in err what went wrong; returns the exit code to report. */
int launch_explain(const struct assignment *a, const struct launch_failure *f,
		   char *err, size_t err_size);
