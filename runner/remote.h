/*
 * The runner of a remote host: a control stream on stdin and stdout, and a
 * keeper behind it. When stdin ends, or is silent for 30 s,
 * everything is killed and the work dir removed.
 *
 *   READY ─▶ KEEPING ─▶ EXITED          ENDED from any: the loop stops
 *     └── SIGNAL or no pod ──▲
 */
#pragma once

struct runner_config;

/* Returns the exit code of the program. */
int remote_run(const struct runner_config *config);
