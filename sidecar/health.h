/* How a program is: what the public endpoints tell, none of it of a job. */
#pragma once

#include <stdbool.h>

#include "sidecar/metrics.h"

struct seat;

struct health {
	const char *state;
	bool ready;
	bool backend_connected;
	struct metrics_gauges gauges;
};

struct health_source {
	void (*read)(const void *ctx, struct health *out);
	const void *ctx;
};

/* Adds what is open and kept of a seat's execution to the gauges. */
void health_add_seat(struct health *h, const struct seat *s);
