/*
 * What one execution has used, from the runner's EXIT (rusage of all that it
 * reaped) and from the pod's cgroup where the executor can see it. Pure.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "common/cgroup_usage.h"
#include "common/macro.h"

#define USAGE_UNKNOWN (-1) /* nobody could measure it */

struct usage {
	int64_t user_us, system_us;
	int64_t max_rss_kb;              /* of the largest process */
	int64_t peak_memory_bytes;       /* of all together */
	int64_t read_bytes, write_bytes; /* from and to disks */
};

void usage_init(struct usage *u);
/* From an EXIT message. */
void usage_parse(struct usage *u, const json_t *exit);
/* Fills in what u does not know, and the peak that all processes made
 * together, which rusage cannot tell. */
void usage_complete(struct usage *u, const struct cgroup_usage *pod);
/* A new reference; NULL: out of memory. What is unknown is null. */
json_t *usage_json(const struct usage *u);

/* Of a pod that lives: from the runner's USAGE, and what the cgroup says that
 * the runner does not, or better. */
void usage_parse_live(struct cgroup_usage *live, const json_t *message);
void usage_merge_live(struct cgroup_usage *live,
		      const struct cgroup_usage *pod);
/* A new reference; NULL: out of memory. */
json_t *usage_live_json(const struct cgroup_usage *live, const char *execution,
			const char *job, const char *state);
