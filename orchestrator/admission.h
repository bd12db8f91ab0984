/*
 * Whether this orchestrator may start a job just now: samples the machine,
 * feeds the guard, says so in the log, and tells its owner when it changes.
 */
#pragma once

#include <stdbool.h>

#include "common/macro.h"

struct admission;
struct event_base;
struct guard_config;
struct sampler;

/* config is copied. on_change is called from the loop when accepting has
 * changed. The sampler, which must outlive it, is not free for others'
 * sampler_on_sample(). 0 or -ENOMEM. */
int admission_new(struct admission **out, struct sampler *sampler,
		  const struct guard_config *config,
		  void (*on_change)(void *ctx), void *ctx) MUST_CHECK;
void admission_free(struct admission *a);

bool admission_accepts(const struct admission *a);
/* What the guard waits for, a sentence; NULL while jobs are accepted. */
const char *admission_problem(const struct admission *a);
