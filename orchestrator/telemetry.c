#include "orchestrator/telemetry.h"

#include "common/clock.h"
#include "orchestrator/sampler.h"

void telemetry_begin(struct telemetry *t, struct sampler *sampler)
{
	if (!sampler)
		return;
	t->before = *sampler_newest(sampler);
	t->has_before = true;
}

void telemetry_start(struct telemetry *t, struct sampler *sampler)
{
	if (!sampler)
		return;
	sampler_read_cpu(sampler, &t->cpu);
	t->cpu_ms = clock_mono_ms();
}

void telemetry_end(struct telemetry *t, struct sampler *sampler)
{
	struct snapshot_cpu cpu;
	uint64_t took_ms;

	if (!sampler)
		return;
	t->after = *sampler_newest(sampler);
	t->has_after = true;
	took_ms = clock_mono_ms() - t->cpu_ms;
	if (!t->cpu_ms || took_ms < TELEMETRY_INTERVAL_MIN_MS)
		return;
	sampler_read_cpu(sampler, &cpu);
	t->after.at_ms = clock_wall_ms();
	t->after.interval_ms = took_ms;
	t->after.cpu_percent = snapshot_cpu_percent(&t->cpu, &cpu);
}

void telemetry_resume(struct telemetry *t, json_t *before)
{
	telemetry_deinit(t);
	t->has_before = false;
	if (json_is_object(before))
		t->past = json_incref(before);
}

void telemetry_deinit(struct telemetry *t)
{
	json_decref(t->past);
	t->past = NULL;
}

json_t *telemetry_before_json(const struct telemetry *t)
{
	if (t->past)
		return json_incref(t->past);
	return t->has_before ? snapshot_json(&t->before) : json_null();
}

json_t *telemetry_json(const struct telemetry *t)
{
	return json_pack("{s:o,s:o}", "before", telemetry_before_json(t),
			 "after",
			 t->has_after ? snapshot_json(&t->after) : json_null());
}
