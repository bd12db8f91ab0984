/* What the backend reads from its store before it listens: API keys, the
 * executions that are claimed or running, how many jobs wait. */
#pragma once

#include "common/macro.h"

struct backend;

/* done is called once, from the loop; why is NULL, or what failed. 0 or
 * negative errno. */
int startup_run(struct backend *b,
		void (*done)(struct backend *b, const char *why)) MUST_CHECK;
