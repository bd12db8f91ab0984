/*
 * RUN/pods/POD: where a pod's sidecar and its runner find the orchestrator's
 * sockets, in a directory for each of them.
 */
#pragma once

#include "common/macro.h"

struct executor_spare;

/* RUN/pods, which nobody else may enter. 0 or negative errno. */
int pod_dir_prepare(const char *run_dir) MUST_CHECK;
/* The pod's directory with sidecar/ and runner/, which their users may enter;
 * what is there already stays. 0 or negative errno. */
int pod_dir_make(const char *run_dir, const char *pod) MUST_CHECK;
void pod_dir_remove(const char *run_dir, const char *pod);
/* What pods of earlier processes left, but for those to be spared. */
void pod_dir_sweep(const char *run_dir, const struct executor_spare *spare);
