#include "sidecar/stream_append.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backend-client/retry.h"
#include "common/clock.h"
#include "common/json.h"
#include "sidecar/execution.h"
#include "sidecar/stream_call.h"

/* A stream that is full is asked again no sooner: its reader needs time. */
#define STREAM_FULL_MS 100

static UNUSED bool may_follow(enum stream_append_state from,
			      enum stream_append_state to)
{
	switch (from) {
	case STREAM_APPEND_IDLE:
	case STREAM_APPEND_WAITING:
		return to == STREAM_APPEND_CALLING;
	case STREAM_APPEND_CALLING:
		return to != STREAM_APPEND_CALLING;
	}
	return false;
}

static void set_state(struct stream_append *a, enum stream_append_state state)
{
	assert(may_follow(a->state, state));
	a->state = state;
}

bool stream_append_busy(const struct stream_append *a)
{
	return a->state != STREAM_APPEND_IDLE;
}

static bool is_full(const struct backend_response *r)
{
	_cleanup_json_ json_t *problem = NULL;
	char err[128];

	if (r->error != BACKEND_OK || r->status != 503)
		return false;
	problem = json_parse_object(r->body, r->body_len, err, sizeof(err));
	return problem &&
	       !strcmp(json_get_str(problem, "code", ""), "stream_full");
}

static void decide(struct stream_append *a, const struct backend_response *r)
{
	if (is_full(r)) {
		uint64_t ms = retry_after_ms(
			backend_response_header(r, "retry-after"));

		set_state(a, STREAM_APPEND_WAITING);
		stream_retry_progress(&a->retry);
		stream_retry_later(&a->retry, MAX(ms, STREAM_FULL_MS));
		return;
	}
	if ((r->error != BACKEND_OK || retry_status(r->status)) &&
	    stream_retry_again(&a->retry)) {
		set_state(a, STREAM_APPEND_WAITING);
		return;
	}
	stream_retry_progress(&a->retry);
	set_state(a, STREAM_APPEND_IDLE);
	buf_clear(&a->lines);
	a->on_done(a, r);
}

static void on_done(struct backend_call *call, const struct backend_response *r,
		    void *ctx)
{
	struct stream_append *a = ctx;

	a->call = NULL;
	metrics_backend(a->execution->metrics, clock_mono_us() - a->started_us,
			r->error != BACKEND_OK || r->status >= 500);
	decide(a, r);
}

static void fill_path(const struct stream_append *a,
		      char path[STREAM_PATH_BYTES])
{
	const struct stream_batch *b = &a->batch;
	char from[32] = "";

	if (b->numbered)
		snprintf(from, sizeof(from), "from=%" PRIu64, b->from);
	snprintf(path, STREAM_PATH_BYTES, "/v1/runtime/output/stream%s%s%s%s",
		 b->numbered || b->end ? "?" : "", from,
		 b->numbered && b->end ? "&" : "", b->end ? "end=1" : "");
}

static void attempt(struct stream_append *a)
{
	static const struct backend_call_ops ops = { .on_done = on_done };
	struct stream_headers headers;
	char path[STREAM_PATH_BYTES];
	struct backend_request req = {
		.method = "POST",
		.path = path,
		.body = a->lines.data,
		.body_len = a->lines.len,
		.body_borrowed = true,
		.attempt_timeout_ms = STREAM_APPEND_ATTEMPT_MS,
		.retry = BACKEND_RETRY_NEVER,
	};

	fill_path(a, path);
	stream_headers_fill(&headers, a->trace, *a->key ? a->key : NULL,
			    a->lines.len);
	req.headers = headers.items;
	req.n_headers = headers.n;
	a->started_us = clock_mono_us();
	set_state(a, STREAM_APPEND_CALLING);
	if (backend_client_call(a->execution->backend, &req, &ops, a,
				&a->call) < 0) {
		set_state(a, STREAM_APPEND_WAITING);
		stream_retry_later(&a->retry, STREAM_BACKOFF_MAX_MS);
	}
}

static void on_due(void *arg)
{
	attempt(arg);
}

void stream_append_send(struct stream_append *a, struct buf *lines,
			const struct stream_batch *batch)
{
	struct buf empty = a->lines;

	assert(!stream_append_busy(a));
	a->lines = *lines;
	*lines = empty;
	a->batch = *batch;
	a->batch.key = NULL;
	*a->key = '\0';
	if (!batch->numbered && batch->key)
		snprintf(a->key, sizeof(a->key), "%s", batch->key);
	else if (!batch->numbered && (a->lines.len || batch->end))
		id_new("idem", a->key);
	attempt(a);
}

int stream_append_init(struct stream_append *a, struct execution *x,
		       const char *trace)
{
	a->execution = x;
	memcpy(a->trace, trace, sizeof(a->trace));
	return stream_retry_init(&a->retry, x->base, on_due, a);
}

void stream_append_deinit(struct stream_append *a)
{
	if (a->call)
		backend_call_cancel(a->call);
	a->call = NULL;
	stream_retry_deinit(&a->retry);
	buf_deinit(&a->lines);
}
