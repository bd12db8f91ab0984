/* /healthz: the process answers. /readyz: it can serve. /metrics: Prometheus.
 * None of them needs a token, or tells anything of the job. */
#include <stdio.h>

#include "common/buf.h"
#include "sidecar/handlers.h"
#include "sidecar/health.h"
#include "sidecar/request.h"

void handle_healthz(struct request *req)
{
	static const char ok[] = "{\"status\":\"ok\"}";

	reply_json(&req->reply, 200, ok, sizeof(ok) - 1);
}

static void read_health(const struct request *req, struct health *out)
{
	*out = (struct health){ .gauges.breaker = -1 };
	req->health->read(req->health->ctx, out);
}

void handle_readyz(struct request *req)
{
	struct health health;
	char body[128];
	int n;

	read_health(req, &health);
	n = snprintf(body, sizeof(body),
		     "{\"state\":\"%s\",\"backend_connected\":%s}",
		     health.state, health.backend_connected ? "true" : "false");
	reply_json(&req->reply, health.ready ? 200 : 503, body, (size_t)n);
}

void handle_metrics(struct request *req)
{
	static const struct http_header type = {
		"Content-Type",
		"text/plain; version=0.0.4; charset=utf-8",
	};
	_cleanup_(buf_deinit) struct buf text = { 0 };
	struct health health;

	read_health(req, &health);
	if (metrics_append(req->reply.metrics, &health.gauges, &text) < 0)
		reply_problem(&req->reply, 503, "out_of_memory",
			      "the sidecar is out of memory; try again");
	else
		reply_send(&req->reply, 200, &type, 1, text.data, text.len);
}
