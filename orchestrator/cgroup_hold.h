/*
 * Which directory of cgroups belongs to an orchestrator that lives: it has a
 * lock on it.
 */
#pragma once

#include <stdbool.h>

#include "common/macro.h"

/* One of ours that we may write; true also where it was there. */
bool cgroup_make_dir(const char *path);
/* Makes it and locks it: while we live, whoever tidies up leaves it alone. One
 * who was just about to remove it is waited for. The descriptor, or negative
 * errno. */
int cgroup_hold(const char *path) MUST_CHECK;
/* Orchestrators that were killed, and whose data directory is gone, cannot
 * come back for their cgroups: removes those below parent that nobody holds and
 * that have no process in them. */
void cgroup_tidy(const char *parent, const char *instance);
