#include "orchestrator/capability.h"

#include <stdio.h>

#include "common/runtime_config.h"
#include "orchestrator/assignment.h"
#include "orchestrator/executor.h"
#include "orchestrator/shares.h"

static bool capability_may_see(const struct capability_offer *offer,
			       const struct assignment *a,
			       const struct executor_ops *executor, char *why,
			       size_t why_size)
{
	if (!executor->machine)
		snprintf(why, why_size,
			 "%s needs the processes of the machine, which a pod "
			 "of the executor %s does not see: run it with "
			 "--executor sandbox",
			 a->capability, executor->name);
	else if (!offer->processes)
		snprintf(why, why_size,
			 "%s is not allowed here: the orchestrator's "
			 "--share-processes lets it reach the processes of "
			 "the machine",
			 a->capability);
	return executor->machine && offer->processes;
}

bool capability_may_run(const struct capability_offer *offer,
			const struct assignment *a,
			const struct executor_ops *executor, char *why,
			size_t why_size)
{
	if (!a->capability)
		return true;
	if (a->processes &&
	    !capability_may_see(offer, a, executor, why, why_size))
		return false;
	return a->shares == ASSIGNMENT_SHARES_NONE ||
	       shares_allow(offer->shares, a->host.name,
			    &runtime_config_get(a->config)->permissions, why,
			    why_size);
}
