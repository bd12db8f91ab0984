/* /healthz: the process answers. /readyz: it can serve. /metrics: Prometheus.
 * None of them needs a token, or tells anything of the job. */
#include <stdio.h>

#include "backend-client/client.h"
#include "common/buf.h"
#include "sidecar/cache.h"
#include "sidecar/execution.h"
#include "sidecar/handlers.h"
#include "sidecar/request.h"
#include "sidecar/sidecar.h"

void handle_healthz(struct request *req)
{
	static const char ok[] = "{\"status\":\"ok\"}";

	reply_json(&req->reply, 200, ok, sizeof(ok) - 1);
}

void handle_readyz(struct request *req)
{
	const struct execution *x = sidecar_execution(req->sidecar);
	enum sidecar_state state = sidecar_state(req->sidecar);
	bool connected = x && backend_client_connected(x->backend);
	char body[128];
	int n = snprintf(body, sizeof(body),
			 "{\"state\":\"%s\",\"backend_connected\":%s}",
			 sidecar_state_name(state),
			 connected ? "true" : "false");

	reply_json(&req->reply,
		   state == SIDECAR_READY || state == SIDECAR_ASSIGNED ? 200
								       : 503,
		   body, (size_t)n);
}

static struct metrics_gauges collect_gauges(const struct sidecar *s)
{
	const struct execution *x = sidecar_execution(s);
	struct metrics_gauges g = {
		.connections = sidecar_connections(s),
		.breaker = -1,
	};
	struct cache_stats cache;

	if (!x)
		return g;
	cache_get_stats(x->cache, &cache);
	g.cache_entries = cache.entries;
	g.cache_bytes = cache.bytes;
	g.cache_evictions = cache.evictions;
	g.in_flight = x->limits.in_flight;
	g.streams[METRICS_STREAM_INPUT] = x->limits.stream_reads;
	g.streams[METRICS_STREAM_OUTPUT] = x->limits.stream_writes;
	g.watches = x->n_watches;
	g.breaker = (int)backend_client_breaker(x->backend);
	return g;
}

void handle_metrics(struct request *req)
{
	static const struct http_header type = {
		"Content-Type",
		"text/plain; version=0.0.4; charset=utf-8",
	};
	const struct metrics_gauges gauges = collect_gauges(req->sidecar);
	_cleanup_(buf_deinit) struct buf text = { 0 };

	if (metrics_append(req->reply.metrics, &gauges, &text) < 0)
		reply_problem(&req->reply, 503, "out_of_memory",
			      "the sidecar is out of memory; try again");
	else
		reply_send(&req->reply, 200, &type, 1, text.data, text.len);
}
