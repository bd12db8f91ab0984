#include "orchestrator/report.h"

#include <errno.h>
#include <event2/event.h>
#include <stdint.h>
#include <string.h>

#include "backend-client/client.h"
#include "common/clock.h"
#include "common/log.h"

/* The client repeats within a call; after that a new call is made. */
#define REPORT_CALL_MS 30000
#define REPORT_ATTEMPT_MS 10000
#define REPORT_AGAIN_MS 500

struct report {
	struct backend_client *client;
	struct backend_call *call;
	struct event *again;
	char *path;
	const char *content_type;
	struct buf body;
	bool warned;
	report_done_fn done;
	void *ctx;
};

static void report_free(struct report *r)
{
	if (r->again)
		event_free(r->again);
	free(r->path);
	buf_deinit(&r->body);
	free(r);
}

void report_cancel(struct report *r)
{
	if (!r)
		return;
	if (r->call)
		backend_call_cancel(r->call);
	report_free(r);
}

/* False when the same request may well be answered better later. */
static bool report_is_final(const struct backend_response *resp)
{
	if (resp->error || resp->status >= 500)
		return false;
	switch (resp->status) {
	case 401: /* the key is being changed */
	case 403:
	case 408:
	case 429:
		return false;
	default:
		return true;
	}
}

static void report_retry_later(struct report *r)
{
	const struct timeval t = clock_timeval(REPORT_AGAIN_MS);

	event_add(r->again, &t);
}

static const char *report_why(const struct backend_response *resp)
{
	if (resp->error)
		return resp->detail;
	return resp->status == 401 || resp->status == 403
		       ? "the backend refuses the API key: see --api-key-file"
		       : "refused for now";
}

static void report_on_done(struct backend_call *call,
			   const struct backend_response *resp, void *ctx)
{
	struct report *r = ctx;

	r->call = NULL;
	if (report_is_final(resp)) {
		r->done(resp, r->ctx);
		report_free(r);
		return;
	}
	if (!r->warned)
		log_warn(NULL, "POST %s: %s (status %d); trying on", r->path,
			 report_why(resp), resp->status);
	r->warned = true;
	report_retry_later(r);
}

static void report_send(struct report *r)
{
	static const struct backend_call_ops ops = {
		.on_done = report_on_done,
	};
	const struct backend_header headers[] = {
		{ "content-type", r->content_type },
	};
	const struct backend_request req = {
		.method = "POST",
		.path = r->path,
		.headers = headers,
		.n_headers = ARRAY_SIZE(headers),
		.body = r->body.data,
		.body_len = r->body.len,
		.deadline_ms = REPORT_CALL_MS,
		.attempt_timeout_ms = REPORT_ATTEMPT_MS,
		.retry = BACKEND_RETRY_SAFE,
	};

	if (backend_client_call(r->client, &req, &ops, r, &r->call) < 0)
		report_retry_later(r);
}

static void report_on_again(int fd, short what, void *ctx)
{
	report_send(ctx);
}

int report_new(struct report **out, struct event_base *base,
	       struct backend_client *client, const struct report_request *req,
	       report_done_fn done, void *ctx)
{
	struct report *r = calloc(1, sizeof(*r));

	*out = NULL;
	if (!r)
		return -ENOMEM;
	r->client = client;
	r->content_type = req->content_type;
	r->done = done;
	r->ctx = ctx;
	r->path = strdup(req->path);
	r->again = evtimer_new(base, report_on_again, r);
	if (!r->path || !r->again) {
		report_free(r);
		return -ENOMEM;
	}
	r->body = *req->body;
	*req->body = (struct buf){ 0 };
	report_send(r);
	*out = r;
	return 0;
}
