/*
 * How long a command waits for a server that is away: what it does is tried
 * again for PATIENCE_MS after it was last heard of. Says on stderr that it
 * waits; that it does no longer is for the caller to say.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/macro.h"

#define PATIENCE_MS (2 * 60 * 1000)
#define PATIENCE_WARN_MS 3000 /* a restart is not worth a word */
#define PATIENCE_AGAIN_MS 200 /* between two tries */

/* Embedded by value; patience_heard() begins it. */
struct patience {
	uint64_t heard_ms;
	bool warned;
};

/* The server did what it was asked for. */
void patience_heard(struct patience *p);
/* It did not, why says why not. False: it has been away for too long. */
bool patience_lasts(struct patience *p, const char *why) MUST_CHECK;
