/*
 * All processes of the script, whatever they did to get away. As PID 1 that
 * is everything else in the PID namespace; otherwise the runner is made the
 * subreaper and walks its descendants.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/macro.h"

struct cgroup_usage;

/* 0 or negative errno. */
int tree_init(void) MUST_CHECK;
bool tree_is_pid1(void);

/* To every process. As PID 1 no fork can outrun it. */
void tree_signal(int sig);

/* What they use now, and have used: cpu_us, memory_bytes (each page as often as
 * it is shown), pids. 0, or negative errno where it cannot be seen. */
int tree_measure(struct cgroup_usage *out) MUST_CHECK;

/* SIGKILL to everything until nothing is left; at most max_ms. Where there is
 * no PID namespace forks may outrun the signal. */
void tree_kill_all(uint64_t max_ms);

/*
 * Reaps what has ended. Returns false once no process is left. When main is
 * among the reaped, *main_ended is set and *status is its wait status.
 */
bool tree_reap(pid_t main, bool *main_ended, int *status);
