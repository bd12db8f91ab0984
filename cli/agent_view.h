/* How orchestrators are shown: `cronium agents`, `cronium top`. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/macro.h"

/* "connected", "drained", "away", or "refuses": it takes no jobs. */
const char *agent_view_state(const json_t *agent);
/* OUTPUT_*, or NULL. */
const char *agent_view_colour(const json_t *agent);
/* "gpu=yes,zone=a", or "-". */
const char *agent_view_labels(const json_t *agent, char *out, size_t size);
/* "/v1/agents/NAME" and what follows. 0 or -ENOMEM. */
int agent_view_path(const char *name, const char *rest,
		    struct buf *path) MUST_CHECK;
