#include "orchestrator/guard.h"

#include <assert.h>
#include <stdio.h>

#include "common/macro.h"
#include "orchestrator/snapshot.h"

#define GUARD_MAY(state) (1u << (state))

/* Which states may follow one. */
static UNUSED const unsigned int guard_next[] = {
	[GUARD_CLOSED] = GUARD_MAY(GUARD_OPEN),
	[GUARD_OPEN] = GUARD_MAY(GUARD_COOLING),
	[GUARD_COOLING] = GUARD_MAY(GUARD_OPEN) | GUARD_MAY(GUARD_CLOSED),
};

static const struct {
	const char *what; /* "… 85 %" */
	bool averaged;
	const char *hint;
} guard_metrics[GUARD_METRICS] = {
	[GUARD_CPU] = { "the CPU is busy", true, "" },
	[GUARD_MEMORY] = { "memory is used", false, "" },
	[GUARD_DISK] = { "the disk of the data directory is full", false,
			 "; make room there" },
	[GUARD_PRESSURE] = { "tasks wait for CPU, memory or disk", true, "" },
	[GUARD_ZOMBIES] = { "processes are zombies", false,
			    "; end the program that does not reap them" },
};

void guard_init(struct guard *g, const struct guard_config *config)
{
	*g = (struct guard){ .config = *config };
}

bool guard_accepts(const struct guard *g)
{
	return g->state == GUARD_CLOSED;
}

const char *guard_problem(const struct guard *g)
{
	return guard_accepts(g) ? NULL : g->problem;
}

/* --- averages ------------------------------------------------------------- */

static struct guard_sample *guard_sample(struct guard *g, size_t i)
{
	return &g->samples[(g->first + i) % GUARD_SAMPLES_MAX];
}

/* Keeps the newest of those that are older than the average's time, so that
 * it is known since when there are samples. */
static void guard_keep(struct guard *g, const struct guard_sample *s)
{
	if (g->n &&
	    s->at_ms - guard_sample(g, g->n - 1)->at_ms < GUARD_SAMPLE_MS) {
		/* The newer one counts; it has the older one's place. */
		guard_sample(g, g->n - 1)->cpu = s->cpu;
		guard_sample(g, g->n - 1)->pressure = s->pressure;
		return;
	}
	while (g->n == GUARD_SAMPLES_MAX ||
	       (g->n > 1 &&
		s->at_ms - guard_sample(g, 1)->at_ms >= g->config.average_ms)) {
		g->first = (g->first + 1) % GUARD_SAMPLES_MAX;
		g->n--;
	}
	*guard_sample(g, g->n++) = *s;
}

static float guard_value(const struct guard_sample *s, enum guard_metric m)
{
	return m == GUARD_CPU ? s->cpu : s->pressure;
}

/* Each sample is about the time since the one before it. SNAPSHOT_UNKNOWN
 * where there are none of the whole time. */
static double guard_average(struct guard *g, enum guard_metric m)
{
	uint64_t newest = guard_sample(g, g->n - 1)->at_ms, time = 0;
	double sum = 0;

	if (newest - guard_sample(g, 0)->at_ms < g->config.average_ms)
		return SNAPSHOT_UNKNOWN;
	for (size_t i = 1; i < g->n; i++) {
		const struct guard_sample *s = guard_sample(g, i);
		uint64_t ms = s->at_ms - guard_sample(g, i - 1)->at_ms;

		if (guard_value(s, m) < 0)
			continue;
		sum += (double)guard_value(s, m) * (double)ms;
		time += ms;
	}
	return time ? sum / (double)time : SNAPSHOT_UNKNOWN;
}

/* --- thresholds ----------------------------------------------------------- */

static double guard_pressure(const struct snapshot *s)
{
	double most = MAX(s->pressure_cpu.some, s->pressure_memory.some);

	return MAX(most, s->pressure_io.full);
}

static double guard_newest(const struct snapshot *s, enum guard_metric m)
{
	switch (m) {
	case GUARD_CPU:
		return s->cpu_percent;
	case GUARD_MEMORY:
		return s->memory.percent;
	case GUARD_DISK:
		return s->disk.percent;
	case GUARD_PRESSURE:
		return guard_pressure(s);
	case GUARD_ZOMBIES:
		return snapshot_zombies_percent(&s->processes);
	case GUARD_METRICS:
		break;
	}
	return SNAPSHOT_UNKNOWN;
}

static int guard_describe(struct guard *g, enum guard_metric m, double newest,
			  double average, char *out, size_t size)
{
	char over[48] = "";

	if (guard_metrics[m].averaged)
		snprintf(over, sizeof(over), " (%.0f %% over %llu s)", average,
			 (unsigned long long)g->config.average_ms / 1000);
	return snprintf(out, size,
			"%s: %.0f %%%s, the guard's limit is %u %%%s",
			guard_metrics[m].what, newest, over,
			g->config.percent[m], guard_metrics[m].hint);
}

/* Whether anything is passed; then problem says all that is. */
static bool guard_check(struct guard *g, const struct snapshot *s)
{
	size_t at = 0;

	for (enum guard_metric m = 0; m < GUARD_METRICS; m++) {
		double newest = guard_newest(s, m), limit, average = newest;
		char text[GUARD_PROBLEM_BYTES];
		int n;

		limit = g->config.percent[m];
		if (limit <= 0 || newest < limit)
			continue;
		if (guard_metrics[m].averaged)
			average = guard_average(g, m);
		if (average < limit)
			continue;
		guard_describe(g, m, newest, average, text, sizeof(text));
		n = snprintf(g->problem + at, sizeof(g->problem) - at, "%s%s",
			     at ? "; " : "", text);
		at = MIN(at + (size_t)MAX(n, 0), sizeof(g->problem) - 1);
	}
	return at;
}

/* --- states --------------------------------------------------------------- */

static void guard_set_state(struct guard *g, enum guard_state state)
{
	assert(guard_next[g->state] & GUARD_MAY(state));
	g->state = state;
}

bool guard_take(struct guard *g, uint64_t now_ms, const struct snapshot *s)
{
	const struct guard_sample sample = {
		.at_ms = now_ms,
		.cpu = (float)s->cpu_percent,
		.pressure = (float)guard_pressure(s),
	};
	enum guard_state before = g->state;

	if (g->config.off)
		return false;
	guard_keep(g, &sample);
	if (guard_check(g, s)) {
		if (g->state != GUARD_OPEN)
			guard_set_state(g, GUARD_OPEN);
	} else if (g->state == GUARD_OPEN) {
		guard_set_state(g, GUARD_COOLING);
		g->cooling_since_ms = now_ms;
	}
	if (g->state == GUARD_COOLING &&
	    now_ms - g->cooling_since_ms >= g->config.cool_down_ms)
		guard_set_state(g, GUARD_CLOSED);
	return g->state != before;
}
