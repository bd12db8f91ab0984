/*
 * One script from assignment to exit, over one control stream.
 *
 *   CONNECTING ─▶ READY ─▶ ASSIGNED ─▶ RUNNING ─▶ STOPPING ─▶ GONE
 *                   └──────────┴───────────────────▲           ▲
 *        (any state: the control stream is lost) ──────────────┘
 *
 * READY      READY was sent, ASSIGN is awaited
 * ASSIGNED   SCRIPT is awaited
 * RUNNING    the script's own process lives
 * STOPPING   it has ended or never started: everything is being killed,
 *            reaped and the last of its output sent
 * GONE       EXIT was sent: the orchestrator closes the stream
 */
#pragma once

#include <stdbool.h>

#include "common/macro.h"
#include "runner/assignment.h"

struct payload_key;
struct runner;

struct runner_config {
	struct limits limits;
	const struct payload_key *key; /* NULL: every program is refused */
	bool in_pod; /* the environment is the pod's, not somebody else's */
};

/* Takes fd, a connected stream socket. What config points to must outlive the
 * runner. 0 or negative errno. */
int runner_new(struct runner **out, int fd,
	       const struct runner_config *config) MUST_CHECK;
/* Returns the exit code of the program when the stream is closed. */
int runner_run(struct runner *r);
void runner_free(struct runner *r);
DEFINE_CLEANUP(struct runner *, runner_free)
