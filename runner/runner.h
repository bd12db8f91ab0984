/*
 * One script from assignment to exit, over one line (runner/line.h).
 *
 *   READY ─▶ ASSIGNED ─▶ RUNNING ─▶ STOPPING ─▶ EXITED ─▶ GONE
 *     └──────────┴──────────────────────▲                  ▲
 *       (any state: DISMISS, or the line is lost) ─────────┘
 *
 * READY      READY was said, ASSIGN is awaited
 * ASSIGNED   SCRIPT is awaited
 * RUNNING    the script's own process lives
 * STOPPING   it has ended or never started: everything is being killed,
 *            reaped and the last of its output said
 * EXITED     EXIT was said, or waits until the line is open again
 * GONE       nothing is left behind
 *
 * With keep_ms in ASSIGN all of this goes on while the line is away.
 */
#pragma once

#include <stdbool.h>

#include "common/macro.h"
#include "runner/assignment.h"

struct payload_key;
struct runner;
struct sockaddr_un;

struct runner_config {
	struct limits limits;
	const struct payload_key *key; /* NULL: every program is refused */
	bool in_pod;     /* the environment is the pod's, not somebody else's */
	bool own_cgroup; /* so is /sys/fs/cgroup, if there is one */
	const struct sockaddr_un *again; /* NULL: a lost stream is the end */
};

/* Takes fd, a connected stream socket. What config points to must outlive the
 * runner. 0 or negative errno. */
int runner_new(struct runner **out, int fd,
	       const struct runner_config *config) MUST_CHECK;
/* Returns the exit code of the program when the stream is closed. */
int runner_run(struct runner *r);
void runner_free(struct runner *r);
DEFINE_CLEANUP(struct runner *, runner_free)
