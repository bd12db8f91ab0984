/* What /proc/PID/stat says of a process. */
#pragma once

#include <stdint.h>

#include "common/macro.h"

#define PROC_STAT_NAME_BYTES 64 /* workers of the kernel have long names */

struct proc_stat {
	int pid, parent;
	char name[PROC_STAT_NAME_BYTES]; /* what is not ASCII is '?' */
	char state;                      /* 'Z': a zombie */
	uint64_t ticks;                  /* user and system */
	uint64_t start_ticks;            /* with pid: who it is */
	uint64_t rss_pages;
};

/* Pure. 0, or -EINVAL where it is not what the kernel writes. */
int proc_stat_parse(const char *text, struct proc_stat *out) MUST_CHECK;
/* proc: a descriptor of /proc; pid: a name in it. 0, -EINVAL or negative errno:
 * it has ended, for one. */
int proc_stat_read(int proc, const char *pid, struct proc_stat *out) MUST_CHECK;
