/*
 * What telemetry costs: of each job, of each second, and of a scan of all
 * processes.
 *
 *     bench_telemetry [ROUND_MS]
 *
 * Prints a JSON object with the nanoseconds of processor that each took, in
 * each round: "job" what one execution adds (both snapshots, their JSON, and
 * the reading of a cgroup), "sample" what is done every second, "process" one
 * process of a scan; and "processes", how many there were.
 */
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>

#include "common/cgroup_usage.h"
#include "common/clock.h"
#include "common/json.h"
#include "orchestrator/process_scan.h"
#include "orchestrator/sampler.h"
#include "orchestrator/snapshot.h"
#include "orchestrator/telemetry.h"
#include "orchestrator/usage.h"

#define ROUNDS 7
#define ROUND_MS 400

struct bench {
	struct event_base *base;
	struct sampler *sampler;
	struct process_scan *scan;
	int cgroup; /* of this process, or another directory */
	uint32_t processes;
};

static void check(bool ok)
{
	if (!ok) {
		fputs("bench_telemetry: a check failed\n", stderr);
		exit(1);
	}
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* --- what is measured ----------------------------------------------------- */

static void measure_job(struct bench *b)
{
	struct telemetry t = { 0 };
	struct cgroup_usage pod;
	_cleanup_(buf_deinit) struct buf text = { 0 };
	_cleanup_json_ json_t *o = NULL;

	telemetry_begin(&t, b->sampler);
	telemetry_start(&t, b->sampler);
	t.cpu_ms -= TELEMETRY_INTERVAL_MIN_MS; /* as one that took a while */
	cgroup_usage_init(&pod);
	cgroup_usage_read(b->cgroup, &pod);
	telemetry_end(&t, b->sampler);
	o = telemetry_json(&t);
	check(o && !json_append(&text, o));
}

static void measure_sample(struct bench *b)
{
	sampler_sample(b->sampler);
}

/* One of all that there are. */
static void measure_process(struct bench *b)
{
	struct snapshot_processes found;

	while (!process_scan_step(b->scan, clock_mono_us(), 1, &found))
		;
	check(found.count > 0);
	b->processes = found.count;
}

static const struct {
	const char *name;
	void (*run)(struct bench *b);
	bool each; /* is about one process */
} measured[] = {
	{ "job", measure_job, false },
	{ "sample", measure_sample, false },
	{ "process", measure_process, true },
};

static double measure(struct bench *b, size_t i, uint64_t ms)
{
	uint64_t end_us = clock_mono_us() + ms * 1000, ns = 0, n = 0;

	do {
		uint64_t start_ns = cpu_ns();

		measured[i].run(b);
		ns += cpu_ns() - start_ns;
		n += measured[i].each ? b->processes : 1;
	} while (clock_mono_us() < end_us);
	return (double)ns / (double)n;
}

int main(int argc, char **argv)
{
	uint64_t ms = argc > 1 ? strtoul(argv[1], NULL, 10) : ROUND_MS;
	double ns[ROUNDS][ARRAY_SIZE(measured)];
	struct bench b = { .base = event_base_new() };

	check(b.base && !sampler_new(&b.sampler, b.base, "/"));
	check(!process_scan_new(&b.scan));
	b.cgroup = open("/sys/fs/cgroup/memory", O_RDONLY | O_DIRECTORY);
	if (b.cgroup < 0)
		b.cgroup = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY);
	for (int round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < ARRAY_SIZE(measured); i++)
			ns[round][i] = measure(&b, i, ms / 4);
	printf("{\"processes\":%u", b.processes);
	for (size_t i = 0; i < ARRAY_SIZE(measured); i++) {
		printf(",\"%s\":[", measured[i].name);
		for (int round = 0; round < ROUNDS; round++)
			printf("%s%.1f", round ? "," : "", ns[round][i]);
		printf("]");
	}
	puts("}");
	return 0;
}
