#include "sidecar/limits.h"

#include <assert.h>

bool limits_begin(struct limits *l, uint64_t bytes)
{
	if (l->in_flight >= LIMITS_IN_FLIGHT)
		return false;
	/* One alone always gets through, however large. */
	if (l->in_flight && l->in_flight_bytes + bytes > LIMITS_IN_FLIGHT_BYTES)
		return false;
	l->in_flight++;
	l->in_flight_bytes += bytes;
	return true;
}

void limits_end(struct limits *l, uint64_t bytes)
{
	assert(l->in_flight && l->in_flight_bytes >= bytes);
	l->in_flight--;
	l->in_flight_bytes -= bytes;
}
