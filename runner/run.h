/*
 * `cronium-runner run`: one payload, alone, without an orchestrator. This
 * process plays the orchestrator to a runner that it keeps (keeper.h).
 *
 *   RUNNING ─▶ STOPPING ─▶ EXITED       STOPPING: it was told to, or took too
 *      └──────────────────────▲         long; then everything is killed
 */
#pragma once

#define RUN_EXIT_TIMEOUT 124 /* as timeout(1) and container engines have them */
#define RUN_EXIT_NOT_RUN 125
#define RUN_GRACE_MS 5000 /* between SIGTERM and SIGKILL */

/* argv[0] is "run". Returns the exit code of the program. */
int run_main(int argc, char **argv);
