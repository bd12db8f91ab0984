/* How orchestrators are shown: `cronium agents`, `cronium top`. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/macro.h"

struct output_cell;

/* What a row of either begins with: its name, its state ("connected",
 * "drained", "away", or "refuses": it takes no jobs), "running/slots". */
#define AGENT_VIEW_COLUMNS 3
void agent_view_cells(const json_t *agent, struct output_cell *cells);
/* "gpu=yes,zone=a", or "-". */
const char *agent_view_labels(const json_t *agent, char *out, size_t size);
/* "/v1/agents/NAME" and what follows. 0 or -ENOMEM. */
int agent_view_path(const char *name, const char *rest,
		    struct buf *path) MUST_CHECK;
