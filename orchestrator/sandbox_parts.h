/*
 * What a sandbox consists of: bubblewrap with the runner in it, the sidecar
 * beside it, a cgroup for each, and our ends of their streams. Started and
 * taken down here; when, is sandbox_pod.c's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "orchestrator/executor.h"
#include "orchestrator/sandbox_spawn.h"

#define SANDBOX_PARTS_REASON_BYTES 512
#define SANDBOX_CGROUP_NAME_BYTES 160

struct cgroup;
struct cgroup_root;
struct event;

/* What all sandboxes of a process share. */
struct sandbox_shared {
	struct event_base *base;
	const char *run_dir, *sdk_dir;
	const struct shares *shares;        /* of capabilities' pods */
	const char *log_level, *log_format; /* of sidecars */
	bool root;
	uid_t uid;
	gid_t gid;
	struct cgroup_root *cgroups; /* NULL: only rlimits */
	int bwrap_fd, sidecar_fd;    /* O_PATH of the programs */
	int backend_fd;              /* O_PATH of backend_dir */
	int seccomp_fd;              /* sandbox_seccomp_new() */
	int null_fd;                 /* /dev/null */
};

/* A process and our end of its control stream until that is handed over. */
struct sandbox_side {
	struct sandbox_process process;
	struct event *ended; /* the owner's, on process.pidfd */
	int stream;
	struct cgroup *cgroup; /* NULL without cgroups */
};

struct sandbox_parts {
	const struct sandbox_shared *shared;
	struct sandbox_side runner, sidecar;
	int door;      /* our end until it is handed over; -1: none */
	int errors_fd; /* what bwrap and the runner complain of */
};

void sandbox_parts_init(struct sandbox_parts *parts,
			const struct sandbox_shared *shared);
/* Closes and frees, whether started or not; ends no process. */
void sandbox_parts_deinit(struct sandbox_parts *parts);

/* 0, or negative errno with a sentence for the user in reason. */
int sandbox_parts_start(struct sandbox_parts *parts,
			const struct executor_spec *spec,
			char reason[SANDBOX_PARTS_REASON_BYTES]) MUST_CHECK;
/* What sandbox_parts_adopt() needs, a new reference; NULL without memory. */
json_t *sandbox_parts_describe(const struct sandbox_parts *parts);
/* Those that another process of us has started, as far as they still are. As
 * sandbox_parts_start(); -ESRCH where a process is gone. */
int sandbox_parts_adopt(struct sandbox_parts *parts,
			const struct executor_spec *spec,
			const json_t *described,
			char reason[SANDBOX_PARTS_REASON_BYTES]) MUST_CHECK;
/* The name of the pod's cgroup is the pod's; and this is its sidecar's. */
void sandbox_parts_sidecar_cgroup(const char *pod,
				  char out[SANDBOX_CGROUP_NAME_BYTES]);

/* SIGKILL to everything on the script's side. */
void sandbox_parts_kill(struct sandbox_parts *parts);
/* Kills whatever is left; true when nothing is. */
bool sandbox_parts_gone(struct sandbox_parts *parts);
/* Waits for both processes, which were killed. */
void sandbox_parts_wait(struct sandbox_parts *parts);
/* The last line that bwrap or the runner wrote, or "". */
void sandbox_parts_complaint(struct sandbox_parts *parts, char *line,
			     size_t size);
