/*
 * The gate between a script and the programs that it would start. The child
 * has one end of a socket pair until its exec: it tells what is to be told in
 * the log, then hands over the listener of its seccomp filter. As long as that
 * end is open who asks is our own child, not yet the script; then only the
 * programs that it named before may be started, of Bash's SDK.
 *
 * A path is read from the memory of who asks, who could change it before the
 * kernel looks: behind the gate stands Landlock (runner/permit_paths.h).
 */
#pragma once

#include <limits.h>
#include <sys/types.h>

#include "common/macro.h"

#define GATE_TEXT_BYTES (PATH_MAX + 256)
#define GATE_PROGRAMS_MAX 4

struct event_base;
struct gate;

/* A file that may be executed. */
struct gate_program {
	dev_t dev;
	ino_t ino;
};

struct gate_programs {
	struct gate_program items[GATE_PROGRAMS_MAX];
	size_t n;
};

struct gate_config {
	struct event_base *base;
	/* A line for the log, without its newline. */
	void (*on_notice)(void *ctx, const char *text);
	void *ctx;
	int64_t uid, gid; /* of the script; -1: ours */
};

/* In the child: best effort, for the script starts all the same. */
void gate_tell(int fd, const char *text);
/* In the child. 0 or negative errno. */
int gate_hand_over(int fd, int listener,
		   const struct gate_programs *programs) MUST_CHECK;

/* Makes both ends, close-on-exec. 0 or negative errno. */
int gate_pair(int *runner_fd, int *child_fd) MUST_CHECK;
/* Takes fd, the runner's end, also on error. 0 or -ENOMEM. */
int gate_new(struct gate **out, int fd,
	     const struct gate_config *config) MUST_CHECK;
/* What still asks is answered with ENOSYS by the kernel. NULL is fine. */
void gate_free(struct gate *g);
