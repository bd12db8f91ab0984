#include "backend/metrics.h"

#include <errno.h>

#define METRICS_STATUSES 6 /* by hundreds; 0 is unused */

static const char *const metrics_class_names[METRICS_CLASSES] = {
	[METRICS_PUBLIC] = "public",     [METRICS_ADMIN] = "admin",
	[METRICS_AGENT] = "agent",       [METRICS_RUNTIME] = "runtime",
	[METRICS_UNROUTED] = "unrouted",
};

/* Upper bounds of the histogram; +Inf is added. */
static const int64_t metrics_claim_bounds_ms[] = {
	1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 30000, 300000
};
#define METRICS_BOUNDS ARRAY_SIZE(metrics_claim_bounds_ms)

struct metrics {
	uint64_t requests[METRICS_CLASSES][METRICS_STATUSES];
	uint64_t claims[METRICS_BOUNDS + 1];
	int64_t claims_sum_ms;
	uint64_t tokens_refused;
	uint64_t log_bytes, stream_bytes;
};

int metrics_new(struct metrics **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void metrics_free(struct metrics *m)
{
	free(m);
}

void metrics_request(struct metrics *m, enum metrics_class class, int status)
{
	if (status >= 100 && status / 100 < METRICS_STATUSES)
		m->requests[class][status / 100]++;
}

void metrics_claim(struct metrics *m, int64_t latency_ms)
{
	size_t i = 0;

	latency_ms = MAX(latency_ms, 0);
	while (i < METRICS_BOUNDS && latency_ms > metrics_claim_bounds_ms[i])
		i++;
	m->claims[i]++;
	m->claims_sum_ms += latency_ms;
}

void metrics_token_refused(struct metrics *m)
{
	m->tokens_refused++;
}

void metrics_log_bytes(struct metrics *m, uint64_t bytes)
{
	m->log_bytes += bytes;
}

void metrics_stream_bytes(struct metrics *m, uint64_t bytes)
{
	m->stream_bytes += bytes;
}

static int render_requests(const struct metrics *m, struct buf *out)
{
	int r = buf_append_str(
		out, "# HELP cronium_http_requests_total Requests answered.\n"
		     "# TYPE cronium_http_requests_total counter\n");

	for (int c = 0; c < METRICS_CLASSES; c++)
		for (int s = 1; s < METRICS_STATUSES && !r; s++)
			r = buf_printf(out,
				       "cronium_http_requests_total{class="
				       "\"%s\",status=\"%dxx\"} %llu\n",
				       metrics_class_names[c], s,
				       (unsigned long long)m->requests[c][s]);
	return r;
}

static int render_claims(const struct metrics *m, struct buf *out)
{
	unsigned long long total = 0;
	int r = buf_append_str(
		out, "# HELP cronium_claim_latency_seconds From submit to "
		     "claim.\n"
		     "# TYPE cronium_claim_latency_seconds histogram\n");

	for (size_t i = 0; i < METRICS_BOUNDS && !r; i++) {
		total += m->claims[i];
		r = buf_printf(out,
			       "cronium_claim_latency_seconds_bucket{le="
			       "\"%g\"} %llu\n",
			       (double)metrics_claim_bounds_ms[i] / 1000,
			       total);
	}
	total += m->claims[METRICS_BOUNDS];
	return r ? r
		 : buf_printf(out,
			      "cronium_claim_latency_seconds_bucket{le="
			      "\"+Inf\"} %llu\n"
			      "cronium_claim_latency_seconds_sum %.3f\n"
			      "cronium_claim_latency_seconds_count %llu\n",
			      total, (double)m->claims_sum_ms / 1000, total);
}

int metrics_render(const struct metrics *m, struct buf *out)
{
	int r = render_requests(m, out);

	if (!r)
		r = render_claims(m, out);
	if (!r)
		r = buf_printf(
			out,
			"# HELP cronium_tokens_refused_total Tokens and keys "
			"refused.\n"
			"# TYPE cronium_tokens_refused_total counter\n"
			"cronium_tokens_refused_total %llu\n"
			"# HELP cronium_log_bytes_total Bytes of job logs "
			"stored.\n"
			"# TYPE cronium_log_bytes_total counter\n"
			"cronium_log_bytes_total %llu\n"
			"# HELP cronium_stream_bytes_total Bytes of records "
			"given to streams.\n"
			"# TYPE cronium_stream_bytes_total counter\n"
			"cronium_stream_bytes_total %llu\n",
			(unsigned long long)m->tokens_refused,
			(unsigned long long)m->log_bytes,
			(unsigned long long)m->stream_bytes);
	return r;
}
