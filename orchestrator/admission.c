#include "orchestrator/admission.h"

#include <errno.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "orchestrator/guard.h"
#include "orchestrator/sampler.h"

struct admission {
	struct sampler *sampler;
	struct guard guard;
	void (*on_change)(void *ctx);
	void *ctx;
};

static void admission_log(const struct admission *a)
{
	switch (a->guard.state) {
	case GUARD_OPEN:
		log_warn(NULL, "guard: open, no job is started: %s",
			 guard_problem(&a->guard));
		break;
	case GUARD_COOLING:
		log_info(NULL, "guard: cooling down for %llu ms",
			 (unsigned long long)a->guard.config.cool_down_ms);
		break;
	case GUARD_CLOSED:
		log_info(NULL, "guard: closed, jobs are started again");
		break;
	}
}

static void admission_on_sample(void *ctx, const struct snapshot *now)
{
	struct admission *a = ctx;
	bool accepted = guard_accepts(&a->guard);

	if (!guard_take(&a->guard, clock_mono_ms(), now))
		return;
	admission_log(a);
	if (accepted != guard_accepts(&a->guard))
		a->on_change(a->ctx);
}

int admission_new(struct admission **out, struct sampler *sampler,
		  const struct guard_config *config,
		  void (*on_change)(void *ctx), void *ctx)
{
	struct admission *a = calloc(1, sizeof(*a));

	*out = NULL;
	if (!a)
		return -ENOMEM;
	a->sampler = sampler;
	a->on_change = on_change;
	a->ctx = ctx;
	guard_init(&a->guard, config);
	/* What is short already is known before the first job is claimed. */
	if (guard_take(&a->guard, clock_mono_ms(), sampler_newest(sampler)))
		admission_log(a);
	sampler_on_sample(sampler, admission_on_sample, a);
	*out = a;
	return 0;
}

void admission_free(struct admission *a)
{
	if (!a)
		return;
	sampler_on_sample(a->sampler, NULL, NULL);
	free(a);
}

bool admission_accepts(const struct admission *a)
{
	return guard_accepts(&a->guard);
}

const char *admission_problem(const struct admission *a)
{
	return guard_problem(&a->guard);
}
