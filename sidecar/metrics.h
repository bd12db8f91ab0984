/* What a sidecar counts, and its Prometheus text form. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macro.h"
#include "sidecar/rate.h"

enum metrics_class {
	METRICS_INPUT,
	METRICS_OUTPUT,
	METRICS_VARIABLES,
	METRICS_CONDITION,
	METRICS_CONTEXT,
	METRICS_WATCH,
	METRICS_TOOLS,
	METRICS_HEALTH,
	METRICS_CLASSES,
};

enum metrics_cache {
	METRICS_HIT,
	METRICS_MISS,
	METRICS_STALE,
	METRICS_CACHE_OUTCOMES,
};

enum metrics_stream_kind {
	METRICS_STREAM_INPUT,
	METRICS_STREAM_OUTPUT,
	METRICS_STREAMS,
};

struct metrics_stream {
	uint64_t records, bytes;
};

#define METRICS_STATUS_CLASSES 5 /* 1xx to 5xx */
#define METRICS_LATENCY_BUCKETS 9

/* A histogram of durations. */
struct metrics_latency {
	uint64_t buckets[METRICS_LATENCY_BUCKETS + 1]; /* last: above all */
	uint64_t sum_us;
};

/* Nothing but counters of 64 bits: see metrics_add(). */
struct metrics {
	uint64_t requests[METRICS_CLASSES][METRICS_STATUS_CLASSES];
	uint64_t cache[METRICS_CACHE_OUTCOMES];
	uint64_t auth_ok, auth_refused;
	uint64_t redactions;
	uint64_t rate_limited[RATE_CLASSES];
	uint64_t backend_ok, backend_failed;
	uint64_t invalidations; /* of cached values, by the change stream */
	uint64_t watch_events;
	uint64_t audited_ok, audited_failed; /* refusals */
	struct metrics_stream streams[METRICS_STREAMS];
	/* Of the egress proxy; bytes of connections that have ended. */
	uint64_t proxy_connected, proxy_refused;
	uint64_t proxy_bytes_up, proxy_bytes_down;
	/* Until the reply was handed over; of a stream, its head. */
	struct metrics_latency request[METRICS_CLASSES];
	struct metrics_latency backend;
};

/* Values of the moment, from elsewhere. */
struct metrics_gauges {
	uint64_t cache_entries, cache_bytes, cache_evictions;
	uint32_t in_flight;
	uint32_t connections;
	uint32_t proxy_connections;        /* open */
	uint32_t watches;                  /* open */
	uint32_t streams[METRICS_STREAMS]; /* open */
	int breaker; /* enum backend_breaker; -1 before the assignment */
};

void metrics_request(struct metrics *m, enum metrics_class class, int status,
		     uint64_t us);
void metrics_backend(struct metrics *m, uint64_t us, int failed);
void metrics_add(struct metrics *sum, const struct metrics *m);
uint64_t metrics_requests(const struct metrics *m);
/* Requests answered with 5xx. */
uint64_t metrics_errors(const struct metrics *m);

/* Appends the text exposition format. 0 or -ENOMEM. */
int metrics_append(const struct metrics *m, const struct metrics_gauges *g,
		   struct buf *out) MUST_CHECK;
/* Appends the statistics of a DRAINED message, a JSON object. */
int metrics_append_stats(const struct metrics *m, struct buf *out) MUST_CHECK;
