/*
 * Starts a program with exactly the descriptors, namespaces and cgroup that
 * it shall have. The caller waits only until the program is exec'ed (vfork),
 * well below a millisecond apart from the kernel's own work.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/macro.h"

#define SANDBOX_SPAWN_MADE_MAX 2

struct sandbox_spawn {
	int exec_fd; /* O_PATH of the program */
	const char *const *argv, *const *env;
	const int *fds; /* become 0, 1, 2 …; nothing else is inherited */
	size_t n_fds;
	uint64_t namespaces; /* CLONE_NEW… */
	int cgroup_fd;       /* v2 directory to start in, or -1 */
	uint64_t nofile;     /* RLIMIT_NOFILE of the program */
	/*
	 * Runs in the child before exec; descriptors that it opens appear in
	 * the caller's table too, and it says in made, which is all -1 before,
	 * which they are. 0 or negative errno; may be NULL.
	 */
	int (*prepare)(const void *ctx, int made[SANDBOX_SPAWN_MADE_MAX]);
	const void *ctx;
};

struct sandbox_process {
	pid_t pid; /* 0 when it was reaped */
	int pidfd; /* readable when it has ended; the caller closes it */
	int made[SANDBOX_SPAWN_MADE_MAX]; /* by prepare */
};

/* 0, or the negative errno of clone, prepare or exec; then nothing is left
 * open of what prepare made. */
int sandbox_spawn(const struct sandbox_spawn *s,
		  struct sandbox_process *out) MUST_CHECK;
/* Collects a process that has ended: its wait status, or -1 while it runs. */
int sandbox_process_reap(struct sandbox_process *p);
