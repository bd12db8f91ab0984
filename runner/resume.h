/* The RESUME message to a runner, checked. Pure. */
#pragma once

#include <stddef.h>

#include "common/macro.h"
#include "runner/positions.h"

/* Positive outcome of resume_parse(). */
enum {
	RESUME_E_OTHER = 1, /* it is for another execution */
};

/* {"execution":"ex_…","epoch":N,"taken":{…}}: what is taken. 0, RESUME_E_OTHER,
 * or -EINVAL. */
int resume_parse(struct positions *taken, const char *execution,
		 const void *data, size_t len) MUST_CHECK;
