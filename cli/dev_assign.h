/* What the sidecar of `cronium dev` is told: names, tokens of a key that is
 * thrown away, limits, context and input. */
#pragma once

#include "common/buf.h"
#include "common/id.h"
#include "common/macro.h"
#include "common/trace.h"

#define DEV_TOKEN_S (24 * 60 * 60) /* that the tokens are good for */

struct dev_state;

struct dev_assign {
	char execution[ID_MAX_BYTES], job[ID_MAX_BYTES];
	char trace[TRACE_BYTES];
	struct buf runtime_token, backend_token; /* with a NUL */
	struct buf text;                         /* ASSIGN */
	struct buf input;
};

/* Also sets the state's context. 0 or negative errno. */
int dev_assign_make(struct dev_assign *a, struct dev_state *state,
		    const char *name) MUST_CHECK;
void dev_assign_deinit(struct dev_assign *a);
