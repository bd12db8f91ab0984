/*
 * What a cgroup says of those in it: now, and since it was made. v2 and v1,
 * where each controller may have a directory of its own.
 */
#pragma once

#include <stdint.h>

#include "common/macro.h"

#define CGROUP_USAGE_UNKNOWN (-1)

/* CGROUP_USAGE_UNKNOWN: this kernel or this cgroup does not say. */
struct cgroup_usage {
	int64_t user_us, system_us; /* v2 alone */
	int64_t cpu_us;             /* v2, and v1's cpuacct */
	int64_t memory_bytes, peak_memory_bytes;
	int64_t pids; /* tasks: threads, too */
};

void cgroup_usage_init(struct cgroup_usage *u);

/* Fills in what the files in the directory (a descriptor) say; the rest stays
 * as it is. */
void cgroup_usage_read(int dir, struct cgroup_usage *u);

/* Pure. Of texts that are something else nothing is believed. */
int64_t cgroup_usage_parse_number(const char *text);
void cgroup_usage_parse_cpu_stat(const char *text, struct cgroup_usage *u);
