/*
 * Counters of the backend and their Prometheus text. Labels come from fixed
 * sets only, so that their number is bounded. Pure.
 */
#pragma once

#include <stdint.h>

#include "common/buf.h"
#include "common/macro.h"

enum metrics_class {
	METRICS_PUBLIC,
	METRICS_ADMIN,
	METRICS_AGENT,
	METRICS_RUNTIME,
	METRICS_UNROUTED,
	METRICS_CLASSES,
};

struct metrics;

int metrics_new(struct metrics **out) MUST_CHECK;
void metrics_free(struct metrics *m);

void metrics_request(struct metrics *m, enum metrics_class class, int status);
/* From the commit of a submit to that of its claim. */
void metrics_claim(struct metrics *m, int64_t latency_ms);
void metrics_token_refused(struct metrics *m);
void metrics_log_bytes(struct metrics *m, uint64_t bytes);
void metrics_stream_bytes(struct metrics *m, uint64_t bytes);

/* Appends the text form. 0 or -ENOMEM. */
int metrics_render(const struct metrics *m, struct buf *out) MUST_CHECK;
