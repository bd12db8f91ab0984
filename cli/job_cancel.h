/* Asks the server to cancel a job, without waiting for its answer. */
#pragma once

#include "common/macro.h"

struct api;

/* What goes wrong is told on stderr, later. 0 or -ENOMEM. */
int job_cancel_start(struct api *api, const char *id,
		     const char *reason) MUST_CHECK;
