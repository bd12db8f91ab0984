#include "sidecar/health.h"

#include "backend-client/client.h"
#include "sidecar/cache.h"
#include "sidecar/execution.h"
#include "sidecar/seat.h"

void health_add_seat(struct health *h, const struct seat *s)
{
	const struct execution *x = seat_execution(s);
	struct metrics_gauges *g = &h->gauges;
	struct cache_stats cache;

	if (!x)
		return;
	cache_get_stats(x->cache, &cache);
	g->cache_entries += cache.entries;
	g->cache_bytes += cache.bytes;
	g->cache_evictions += cache.evictions;
	g->in_flight += x->limits.in_flight;
	g->streams[METRICS_STREAM_INPUT] += x->limits.stream_reads;
	g->streams[METRICS_STREAM_OUTPUT] += x->limits.stream_writes;
	g->watches += x->n_watches;
	h->backend_connected |= backend_client_connected(x->backend);
}
