/*
 * Looks every second how the machine is doing. What is cheap is read at each
 * beat (six short files of /proc, about 20 µs); processes are looked at in
 * steps between (process_scan.h), a scan every few seconds.
 *
 * With 500 processes it takes 0.2 % of one core.
 */
#pragma once

#include <stdint.h>

#include "common/macro.h"

struct event_base;
struct sampler;
struct snapshot;
struct snapshot_cpu;

#define SAMPLER_INTERVAL_MS 1000
/* The second sample, the first that knows how busy the CPU is, comes soon. */
#define SAMPLER_FIRST_MS 100
/* Between the steps of a scan of all processes, and after one. */
#define SAMPLER_STEP_MS 10
#define SAMPLER_SCAN_MS 3000
#define SAMPLER_FIRST_SCAN_MS 500

/* disk_path: the file system that is told of; it must outlive the sampler, and
 * whatever was copied of its snapshots. 0 or -ENOMEM. */
int sampler_new(struct sampler **out, struct event_base *base,
		const char *disk_path) MUST_CHECK;
void sampler_free(struct sampler *s);
DEFINE_CLEANUP(struct sampler *, sampler_free)

/* Called from the loop with each sample; the first was taken by
 * sampler_new(). */
void sampler_on_sample(struct sampler *s,
		       void (*on_sample)(void *ctx, const struct snapshot *now),
		       void *ctx);
/* Takes one now, as at each beat, without telling anybody. */
void sampler_sample(struct sampler *s);
/* The newest; never NULL. */
const struct snapshot *sampler_newest(const struct sampler *s);
/* The counters of this moment; all zero where they cannot be read. */
void sampler_read_cpu(struct sampler *s, struct snapshot_cpu *out);
