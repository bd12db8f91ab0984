/*
 * A sidecar that runs beside the orchestrator, not in the pod: it holds the
 * descriptors that it is given, and has no right that it does not need, for it
 * reads what a script sends. Ends with its control stream, or a while after it
 * where ASSIGN says keep_ms.
 */
#pragma once

#include <stdbool.h>

#include "common/macro.h"
#include "orchestrator/sandbox_spawn.h"

struct cgroup;
struct cgroup_limits;

struct sidecar_process_spec {
	int exec_fd;    /* O_PATH of cronium-sidecar */
	int null_fd;    /* /dev/null */
	int backend_fd; /* O_PATH of the directory of backend.sock */
	/* Of the caller, who closes its own; each may be -1: not there. */
	int listen_fd; /* where scripts call */
	int proxy_fd;  /* where scripts find the egress proxy */
	int door_fd;   /* its end of the door (door.h) */
	int again_fd;  /* O_PATH of the directory where it finds us again */
	const char *log_level, *log_format;
	bool root;             /* we are: it becomes nobody */
	struct cgroup *cgroup; /* NULL: none */
};

/* What a sidecar may use at most, for cgroup_new(). */
extern const struct cgroup_limits sidecar_process_limits;

/* Starts one; *control_fd is our end of its control stream, the caller's. 0
 * or negative errno. */
int sidecar_process_start(const struct sidecar_process_spec *spec,
			  struct sandbox_process *out,
			  int *control_fd) MUST_CHECK;
