/*
 * How the machine is doing at one moment: what the texts of /proc say, as
 * numbers and as the JSON of telemetry (ARCHITECTURE.md). Pure: texts and
 * times are given by the caller.
 *
 * All figures are the machine's, as /proc has them. In a container that is
 * the host, but for the processes, of which only the container's own are
 * seen; limits that the container itself has are not looked at, because pods
 * are not within them.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"
#include "common/proc_stat.h"

#define SNAPSHOT_TOP 5          /* processes that are named */
#define SNAPSHOT_UNKNOWN (-1.0) /* a figure that nobody has */

/* Ticks of all cores since boot; only differences mean anything. */
struct snapshot_cpu {
	uint64_t busy, total;
	uint32_t cores;
};

struct snapshot_memory {
	uint64_t total_bytes, available_bytes;
	double percent; /* that is not available */
};

/* Percent of the last 10 s in which some, or all, tasks waited; PSI. */
struct snapshot_pressure {
	double some, full;
};

struct snapshot_disk {
	const char *path; /* not owned */
	uint64_t total_bytes, free_bytes;
	double percent; /* as df has it */
};

struct snapshot_process {
	int pid;
	char name[PROC_STAT_NAME_BYTES];
	double cpu_percent; /* of all cores, since the scan before */
	uint64_t memory_bytes;
};

struct snapshot_processes {
	uint32_t count, zombies;
	size_t n_top;
	struct snapshot_process top[SNAPSHOT_TOP]; /* most CPU first */
};

struct snapshot {
	int64_t at_ms;        /* wall clock */
	uint64_t interval_ms; /* that cpu_percent is about */
	uint32_t cores;
	double cpu_percent; /* of all cores */
	double load[3];
	struct snapshot_memory memory;
	struct snapshot_pressure pressure_cpu, pressure_memory, pressure_io;
	struct snapshot_disk disk;
	struct snapshot_processes processes;
};

/* Nothing is known. */
void snapshot_init(struct snapshot *s);

/*
 * Each takes the whole text of a file, NUL-terminated. 0, or -EINVAL where it
 * is not what the kernel writes; then nothing is changed.
 */
int snapshot_parse_stat(const char *text, struct snapshot_cpu *out) MUST_CHECK;
int snapshot_parse_meminfo(const char *text,
			   struct snapshot_memory *out) MUST_CHECK;
int snapshot_parse_loadavg(const char *text, double out[3]) MUST_CHECK;
/* "full" is unknown where the kernel has no such line. */
int snapshot_parse_pressure(const char *text,
			    struct snapshot_pressure *out) MUST_CHECK;

/* How busy all cores were between the two; SNAPSHOT_UNKNOWN where no time has
 * passed. */
double snapshot_cpu_percent(const struct snapshot_cpu *before,
			    const struct snapshot_cpu *after);
/* used and free as statvfs(3) tells an ordinary user. */
double snapshot_disk_percent(uint64_t used, uint64_t available);
/* Of all processes, in percent. */
double snapshot_zombies_percent(const struct snapshot_processes *p);

/* A new reference; NULL: out of memory. What is unknown is null. */
json_t *snapshot_json(const struct snapshot *s);
