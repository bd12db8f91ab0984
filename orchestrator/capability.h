/* Whether a capability's job may run here: what it wants of the machine, and
 * what the operator gives. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct assignment;
struct executor_ops;
struct shares;

struct capability_offer {
	const struct shares *shares;
	bool processes; /* --share-processes */
};

/* True for every job that is a script's. False: why is a sentence for the
 * user. */
bool capability_may_run(const struct capability_offer *offer,
			const struct assignment *a,
			const struct executor_ops *executor, char *why,
			size_t why_size);
