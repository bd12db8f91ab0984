/*
 * A circuit breaker before each start: while the machine is short of
 * something no job is begun. What runs is never touched. Pure: samples and
 * times are given by the caller.
 *
 *   CLOSED ─▶ OPEN ─▶ COOLING ─▶ CLOSED
 *               ▲────────┘
 *
 * CLOSED   jobs are started
 * OPEN     a threshold is passed
 * COOLING  none is any more; the cool-down runs, and a threshold that is
 *          passed again opens it again
 *
 * Memory, disk and zombies pass with the newest sample. CPU and pressure go up
 * and down: they pass when the newest sample and the average do, and there is
 * an average only once there are samples of the whole time.
 *
 * Pressure is the highest of: some task waits for the CPU, some task waits for
 * memory, all tasks wait for the disk (one writer alone is "some" for ever).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "orchestrator/guard_config.h"

struct snapshot;

#define GUARD_PROBLEM_BYTES 256
/* Samples come every second, but not to the millisecond; more are thinned
 * out. */
#define GUARD_SAMPLE_MS 900
#define GUARD_SAMPLES_MAX (GUARD_AVERAGE_MAX_MS / GUARD_SAMPLE_MS + 2)

enum guard_state { GUARD_CLOSED, GUARD_OPEN, GUARD_COOLING };

struct guard_sample {
	uint64_t at_ms;
	float cpu, pressure; /* negative: unknown */
};

struct guard {
	struct guard_config config;
	enum guard_state state;
	uint64_t cooling_since_ms;
	char problem[GUARD_PROBLEM_BYTES];              /* "" while CLOSED */
	struct guard_sample samples[GUARD_SAMPLES_MAX]; /* a ring */
	size_t first, n;
};

void guard_init(struct guard *g, const struct guard_config *config);

/* Takes a sample; true when the state is another one. now_ms never goes
 * back. */
bool guard_take(struct guard *g, uint64_t now_ms, const struct snapshot *s);

/* Whether a job may be started. */
bool guard_accepts(const struct guard *g);
/* What is wrong, a sentence; NULL while jobs are started. */
const char *guard_problem(const struct guard *g);
