#include "sidecar/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#define PREFIX "cronium_sidecar_"

static const char *const class_names[METRICS_CLASSES] = {
	[METRICS_INPUT] = "input",         [METRICS_OUTPUT] = "output",
	[METRICS_VARIABLES] = "variables", [METRICS_CONDITION] = "condition",
	[METRICS_CONTEXT] = "context",     [METRICS_WATCH] = "watch",
	[METRICS_TOOLS] = "tools",         [METRICS_HEALTH] = "health",
};

static const char *const cache_names[METRICS_CACHE_OUTCOMES] = {
	[METRICS_HIT] = "hit",
	[METRICS_MISS] = "miss",
	[METRICS_STALE] = "stale",
};

/* Upper bounds, with the text that Prometheus shows. */
static const struct {
	uint64_t us;
	const char *seconds;
} latency_buckets[METRICS_LATENCY_BUCKETS] = {
	{ 250, "0.00025" }, { 500, "0.0005" }, { 1000, "0.001" },
	{ 2500, "0.0025" }, { 5000, "0.005" }, { 25000, "0.025" },
	{ 100000, "0.1" },  { 1000000, "1" },  { 10000000, "10" },
};

static void observe(struct metrics_latency *l, uint64_t us)
{
	size_t i = 0;

	while (i < METRICS_LATENCY_BUCKETS && us > latency_buckets[i].us)
		i++;
	l->buckets[i]++;
	l->sum_us += us;
}

void metrics_request(struct metrics *m, enum metrics_class class, int status,
		     uint64_t us)
{
	if (status < 100 || status >= 600)
		return;
	m->requests[class][status / 100 - 1]++;
	observe(&m->request[class], us);
}

void metrics_backend(struct metrics *m, uint64_t us, int failed)
{
	if (failed)
		m->backend_failed++;
	else
		m->backend_ok++;
	observe(&m->backend, us);
}

void metrics_add(struct metrics *sum, const struct metrics *m)
{
	uint64_t *to = (uint64_t *)sum;
	const uint64_t *from = (const uint64_t *)m;

	static_assert(sizeof(*m) % sizeof(*to) == 0, "counters alone");
	for (size_t i = 0; i < sizeof(*m) / sizeof(*to); i++)
		to[i] += from[i];
}

uint64_t metrics_requests(const struct metrics *m)
{
	uint64_t n = 0;

	for (size_t c = 0; c < METRICS_CLASSES; c++)
		for (size_t s = 0;
		     c != METRICS_HEALTH && s < METRICS_STATUS_CLASSES; s++)
			n += m->requests[c][s];
	return n;
}

uint64_t metrics_errors(const struct metrics *m)
{
	uint64_t n = 0;

	for (size_t c = 0; c < METRICS_CLASSES; c++)
		n += m->requests[c][METRICS_STATUS_CLASSES - 1];
	return n;
}

static int append_requests(const struct metrics *m, struct buf *out)
{
	int r = buf_append_str(out,
			       "# TYPE " PREFIX "requests_total counter\n");

	for (size_t c = 0; c < METRICS_CLASSES; c++)
		for (size_t s = 1; r == 0 && s < METRICS_STATUS_CLASSES; s++)
			r = buf_printf(out,
				       PREFIX "requests_total{class=\"%s\","
					      "status=\"%zuxx\"} %" PRIu64 "\n",
				       class_names[c], s + 1,
				       m->requests[c][s]);
	return r;
}

static int append_cache(const struct metrics *m, struct buf *out)
{
	int r = buf_append_str(out, "# TYPE " PREFIX
				    "cache_requests_total counter\n");

	for (size_t i = 0; r == 0 && i < METRICS_CACHE_OUTCOMES; i++)
		r = buf_printf(out,
			       PREFIX "cache_requests_total{result=\"%s\"} "
				      "%" PRIu64 "\n",
			       cache_names[i], m->cache[i]);
	return r;
}

/* label: `class="input"` or "". */
static int append_histogram(struct buf *out, const char *name,
			    const char *label, const struct metrics_latency *l)
{
	const char *comma = *label ? "," : "";
	const char *open = *label ? "{" : "", *close = *label ? "}" : "";
	uint64_t n = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i <= METRICS_LATENCY_BUCKETS; i++) {
		n += l->buckets[i];
		r = buf_printf(out,
			       PREFIX "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n",
			       name, label, comma,
			       i < METRICS_LATENCY_BUCKETS
				       ? latency_buckets[i].seconds
				       : "+Inf",
			       n);
	}
	if (r < 0)
		return r;
	return buf_printf(out,
			  PREFIX "%s_sum%s%s%s %" PRIu64 ".%06" PRIu64
				 "\n" PREFIX "%s_count%s%s%s %" PRIu64 "\n",
			  name, open, label, close, l->sum_us / 1000000,
			  l->sum_us % 1000000, name, open, label, close, n);
}

static int append_latencies(const struct metrics *m, struct buf *out)
{
	char label[32];
	int r = buf_append_str(out,
			       "# TYPE " PREFIX "request_seconds histogram\n");

	for (size_t c = 0; r == 0 && c < METRICS_CLASSES; c++) {
		snprintf(label, sizeof(label), "class=\"%s\"", class_names[c]);
		r = append_histogram(out, "request_seconds", label,
				     &m->request[c]);
	}
	if (r == 0)
		r = buf_append_str(out, "# TYPE " PREFIX
					"backend_seconds histogram\n");
	return r < 0 ? r
		     : append_histogram(out, "backend_seconds", "",
					&m->backend);
}

static int append_pair(struct buf *out, const char *name, const char *label,
		       uint64_t a, const char *a_name, uint64_t b,
		       const char *b_name)
{
	return buf_printf(out,
			  "# TYPE " PREFIX "%s counter\n" PREFIX
			  "%s{%s=\"%s\"} %" PRIu64 "\n" PREFIX
			  "%s{%s=\"%s\"} %" PRIu64 "\n",
			  name, name, label, a_name, a, name, label, b_name, b);
}

static int append_one(struct buf *out, const char *name, const char *type,
		      int64_t value)
{
	return buf_printf(out,
			  "# TYPE " PREFIX "%s %s\n" PREFIX "%s %" PRId64 "\n",
			  name, type, name, value);
}

static int append_streams(const struct metrics *m,
			  const struct metrics_gauges *g, struct buf *out)
{
	const struct metrics_stream *in = &m->streams[METRICS_STREAM_INPUT];
	const struct metrics_stream *to = &m->streams[METRICS_STREAM_OUTPUT];
	int r = append_pair(out, "stream_records_total", "stream", in->records,
			    "input", to->records, "output");

	if (!r)
		r = append_pair(out, "stream_bytes_total", "stream", in->bytes,
				"input", to->bytes, "output");
	if (!r)
		r = append_one(out, "input_streams", "gauge",
			       g->streams[METRICS_STREAM_INPUT]);
	if (!r)
		r = append_one(out, "output_streams", "gauge",
			       g->streams[METRICS_STREAM_OUTPUT]);
	return r;
}

static int append_proxy(const struct metrics *m, const struct metrics_gauges *g,
			struct buf *out)
{
	int r = append_pair(out, "proxy_requests_total", "result",
			    m->proxy_connected, "connected", m->proxy_refused,
			    "refused");

	if (!r)
		r = append_pair(out, "proxy_bytes_total", "direction",
				m->proxy_bytes_up, "up", m->proxy_bytes_down,
				"down");
	return r ? r
		 : append_one(out, "proxy_connections", "gauge",
			      g->proxy_connections);
}

int metrics_append(const struct metrics *m, const struct metrics_gauges *g,
		   struct buf *out)
{
	int r;

	if ((r = append_requests(m, out)) || (r = append_cache(m, out)) ||
	    (r = append_one(out, "cache_evictions_total", "counter",
			    (int64_t)g->cache_evictions)) ||
	    (r = append_one(out, "cache_entries", "gauge",
			    (int64_t)g->cache_entries)) ||
	    (r = append_one(out, "cache_bytes", "gauge",
			    (int64_t)g->cache_bytes)) ||
	    (r = append_pair(out, "auth_total", "result", m->auth_ok, "ok",
			     m->auth_refused, "refused")) ||
	    (r = append_pair(out, "rate_limited_total", "limit",
			     m->rate_limited[RATE_FORWARD], "forward",
			     m->rate_limited[RATE_TOOLS], "tools")) ||
	    (r = buf_printf(out,
			    PREFIX "rate_limited_total{limit=\"requests\"} "
				   "%" PRIu64 "\n",
			    m->rate_limited[RATE_REQUESTS])) ||
	    (r = append_pair(out, "audited_total", "result", m->audited_ok,
			     "ok", m->audited_failed, "failed")) ||
	    (r = append_one(out, "redactions_total", "counter",
			    (int64_t)m->redactions)) ||
	    (r = append_pair(out, "backend_calls_total", "result",
			     m->backend_ok, "ok", m->backend_failed,
			     "failed")) ||
	    (r = append_one(out, "invalidations_total", "counter",
			    (int64_t)m->invalidations)) ||
	    (r = append_one(out, "watch_events_total", "counter",
			    (int64_t)m->watch_events)) ||
	    (r = append_latencies(m, out)))
		return r;
	if ((r = append_one(out, "in_flight", "gauge", g->in_flight)) ||
	    (r = append_one(out, "connections", "gauge", g->connections)) ||
	    (r = append_one(out, "watches", "gauge", g->watches)) ||
	    (r = append_streams(m, g, out)) || (r = append_proxy(m, g, out)))
		return r;
	/* 0 closed, 1 open, 2 half open. */
	return g->breaker < 0
		       ? 0
		       : append_one(out, "breaker_state", "gauge", g->breaker);
}

int metrics_append_stats(const struct metrics *m, struct buf *out)
{
	return buf_printf(out,
			  "{\"requests\":%" PRIu64 ",\"hits\":%" PRIu64
			  ",\"misses\":%" PRIu64 ",\"stale\":%" PRIu64
			  ",\"errors\":%" PRIu64 "}",
			  metrics_requests(m), m->cache[METRICS_HIT],
			  m->cache[METRICS_MISS], m->cache[METRICS_STALE],
			  metrics_errors(m));
}
