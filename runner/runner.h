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

#include "common/macro.h"

struct limits;
struct runner;

/* Takes fd, a connected stream socket. 0 or negative errno. */
int runner_new(struct runner **out, int fd,
	       const struct limits *limits) MUST_CHECK;
/* Returns the exit code of the program when the stream is closed. */
int runner_run(struct runner *r);
void runner_free(struct runner *r);
DEFINE_CLEANUP(struct runner *, runner_free)
