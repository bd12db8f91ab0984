/*
 * Starts a program with exactly the descriptors, namespaces and cgroup that
 * it shall have. The caller waits only until the program is exec'ed (vfork),
 * well below a millisecond apart from the kernel's own work.
 */
#pragma once

#include <stdbool.h>
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
	 * which they are. 0 or negative errno; may be NULL. It is the only
	 * thread of its process, and finds the caller's memory as the others
	 * left it: system calls, and nothing of the C library that allocates,
	 * locks or looks for threads.
	 */
	int (*prepare)(const void *ctx, int made[SANDBOX_SPAWN_MADE_MAX]);
	const void *ctx;
};

struct sandbox_process {
	pid_t pid;      /* 0 when it was reaped */
	uint64_t start; /* clock ticks from boot on: which of this number */
	bool adopted;   /* no child of ours: nobody tells how it ended */
	int pidfd;      /* readable when it has ended; the caller closes it */
	int made[SANDBOX_SPAWN_MADE_MAX]; /* by prepare */
};

/* 0, or the negative errno of clone, prepare or exec; then nothing is left
 * open of what prepare made. */
int sandbox_spawn(const struct sandbox_spawn *s,
		  struct sandbox_process *out) MUST_CHECK;
/* A process that another one of us has started: 0, -ESRCH where it is gone, or
 * negative errno. */
int sandbox_process_adopt(pid_t pid, uint64_t start,
			  struct sandbox_process *out) MUST_CHECK;
/* Collects a process that has ended: its wait status (0 where that is not
 * known), or -1 while it runs. */
int sandbox_process_reap(struct sandbox_process *p);
/* The same, waiting for one that was killed. */
void sandbox_process_wait(struct sandbox_process *p);
