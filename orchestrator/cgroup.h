/*
 * Limits and a firm grip on all processes of a pod: one cgroup a pod under
 * cronium/INSTANCE, in whatever hierarchies this host has: v2, v1, or both at
 * once. Where none may be written (an ordinary user without delegation) there
 * is no root, and the caller falls back to rlimits.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/macro.h"

enum cgroup_controller {
	CGROUP_MEMORY = 1 << 0,
	CGROUP_PIDS = 1 << 1,
	CGROUP_CPU = 1 << 2,
};

struct cgroup_limits {
	uint64_t memory_bytes; /* without swap on top */
	uint32_t pids;
	uint32_t cpu_milli; /* 1000 = one core */
};

struct cgroup_root;
struct cgroup;
struct cgroup_usage;

enum { CGROUP_E_NONE = 1 }; /* no hierarchy that we may write */

/* 0, CGROUP_E_NONE or -ENOMEM. */
int cgroup_root_new(struct cgroup_root **out, const char *instance) MUST_CHECK;
/* Removes cronium/INSTANCE where it is empty. NULL is fine. */
void cgroup_root_free(struct cgroup_root *root);
/* Which limits are enforced: enum cgroup_controller. */
unsigned int cgroup_root_controllers(const struct cgroup_root *root);
/* Kills and removes what an earlier process left behind, but for what spared
 * says. False while some process is still dying: ask again. */
bool cgroup_root_sweep(struct cgroup_root *root,
		       bool (*spared)(const char *name, void *ctx), void *ctx);

/* The root must outlive the cgroup. 0 or negative errno. */
int cgroup_new(struct cgroup **out, struct cgroup_root *root, const char *name,
	       const struct cgroup_limits *limits) MUST_CHECK;
/* One that another process has made: only what of it is there. 0 or -ENOMEM. */
int cgroup_adopt(struct cgroup **out, struct cgroup_root *root,
		 const char *name) MUST_CHECK;
/* Frees the object only: see cgroup_remove(). */
void cgroup_free(struct cgroup *c);

/* A directory for CLONE_INTO_CGROUP, or -1 without a v2 hierarchy. Stays with
 * the cgroup. */
int cgroup_clone_fd(const struct cgroup *c);
/* In the child that clone made: enters the v1 hierarchies. 0 or negative
 * errno. */
int cgroup_enter(const struct cgroup *c) MUST_CHECK;

/* SIGKILL to every process inside; none can fork its way out. */
void cgroup_kill(struct cgroup *c);
bool cgroup_oom_killed(const struct cgroup *c);
/* Fills in what its files say. */
void cgroup_measure(const struct cgroup *c, struct cgroup_usage *out);
/* True when it is gone; false while processes are still dying. */
bool cgroup_remove(struct cgroup *c);
