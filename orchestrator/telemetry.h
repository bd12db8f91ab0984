/*
 * How the machine was before and after one execution. Costs a copy and a read
 * of /proc/stat at each end.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/macro.h"
#include "orchestrator/snapshot.h"

struct sampler;

/* An execution that is shorter has the figure of the newest sample: the
 * kernel counts in ticks of 10 ms. */
#define TELEMETRY_INTERVAL_MIN_MS 100

/* Zero-initialised is empty. Holds no reference to the sampler. A copy is good
 * until telemetry_deinit(). */
struct telemetry {
	bool has_before, has_after;
	struct snapshot before, after;
	json_t *past;            /* `before`, as another process has noted it */
	struct snapshot_cpu cpu; /* when the script was started */
	uint64_t cpu_ms;         /* 0: it was not */
};

/* The execution is there; its script runs; it is over. NULL is fine: nobody
 * samples. */
void telemetry_begin(struct telemetry *t, struct sampler *sampler);
void telemetry_start(struct telemetry *t, struct sampler *sampler);
void telemetry_end(struct telemetry *t, struct sampler *sampler);

/* It was begun by another process, which has noted this: nobody knows any more
 * what is not an object. */
void telemetry_resume(struct telemetry *t, json_t *before);
void telemetry_deinit(struct telemetry *t);

/* A new reference; null where it is not known; NULL: out of memory. */
json_t *telemetry_before_json(const struct telemetry *t);
/* A new reference, {"before","after"}, either of which may be null; NULL: out
 * of memory. */
json_t *telemetry_json(const struct telemetry *t);
