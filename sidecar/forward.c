#include "sidecar/forward.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend-client/client.h"
#include "common/clock.h"
#include "common/id.h"
#include "common/percent.h"
#include "sidecar/execution.h"

#define BASE_PATH "/v1/runtime"
#define HEADERS_MAX 8

/* Passed on from the script's request as they are. */
static const char *const passed_on[] = {
	"if-match",
	"if-none-match",
};

/* Passed back from the backend's reply. */
static const char *const passed_back[] = {
	"content-type",
	"etag",
	"retry-after",
};

struct header_list {
	struct backend_header items[HEADERS_MAX];
	size_t n;
};

static void add(struct header_list *list, const char *name, const char *value)
{
	if (value && list->n < HEADERS_MAX)
		list->items[list->n++] = (struct backend_header){ name, value };
}

/* The script's own key, where it is one we can pass on, or a new one. */
static const char *idempotency_key(const struct http_request *origin,
				   char fresh[ID_MAX_BYTES])
{
	const char *own = origin ? http_request_header(origin,
						       "idempotency-key")
				 : NULL;

	if (own && *own && strlen(own) <= FORWARD_IDEMPOTENCY_KEY_BYTES)
		return own;
	id_new("idem", fresh);
	return fresh;
}

static void on_done(struct backend_call *call, const struct backend_response *r,
		    void *ctx)
{
	struct forward *f = ctx;

	f->call = NULL;
	metrics_backend(f->execution->metrics, clock_mono_us() - f->started_us,
			r->error != BACKEND_OK || r->status >= 500);
	f->on_done(f, r);
}

int forward_start(struct forward *f, struct execution *x,
		  const struct forward_request *req)
{
	static const struct backend_call_ops ops = { .on_done = on_done };
	char path[FORWARD_PATH_BYTES + sizeof(BASE_PATH)];
	char fresh[ID_MAX_BYTES], traceparent[TRACE_PARENT_BYTES];
	struct header_list headers = { .n = 0 };
	struct backend_request call = {
		.method = req->method,
		.path = path,
		.headers = headers.items,
		.body = req->body,
		.body_len = req->len,
		.deadline_ms = req->deadline_ms,
		.attempt_timeout_ms = req->slow ? 0 : FORWARD_ATTEMPT_MS,
		.retry = BACKEND_RETRY_SAFE,
	};

	memcpy(path, BASE_PATH, sizeof(BASE_PATH));
	strncat(path, req->path, FORWARD_PATH_BYTES);
	trace_parent(req->trace, traceparent);
	add(&headers, "traceparent", traceparent);
	for (size_t i = 0; req->origin && i < ARRAY_SIZE(passed_on); i++)
		add(&headers, passed_on[i],
		    http_request_header(req->origin, passed_on[i]));
	if (req->write)
		add(&headers, "idempotency-key",
		    idempotency_key(req->origin, fresh));
	if (req->len)
		add(&headers, "content-type", "application/json");
	call.n_headers = headers.n;
	f->execution = x;
	f->started_us = clock_mono_us();
	return backend_client_call(x->backend, &call, &ops, f, &f->call);
}

void forward_cancel(struct forward *f)
{
	if (f->call)
		backend_call_cancel(f->call);
	f->call = NULL;
}

/* --- paths ---------------------------------------------------------------- */

void forward_variable_path(char out[FORWARD_PATH_BYTES], const char *key,
			   const char *suffix)
{
	static const char base[] = "/variables/";
	size_t n = sizeof(base) - 1;

	memcpy(out, base, n);
	n += percent_encode(key, out + n);
	snprintf(out + n, FORWARD_PATH_BYTES - n, "%s", suffix);
}

/* --- answers -------------------------------------------------------------- */

static int error_status(enum backend_error error)
{
	switch (error) {
	case BACKEND_E_DEADLINE:
		return 504;
	case BACKEND_E_BROKEN:
	case BACKEND_E_PROTOCOL:
	case BACKEND_E_TOO_LARGE:
		return 502;
	default:
		return 503;
	}
}

void forward_reply_error(struct reply *reply, const struct backend_response *r,
			 bool write)
{
	static const struct http_header retry_after = { "Retry-After", "1" };

	reply_problem_with(reply, error_status(r->error), "backend_unavailable",
			   &retry_after,
			   "the backend could not be asked: %s; %s",
			   r->detail ? r->detail : backend_strerror(r->error),
			   write ? "the write is not confirmed, so repeat it"
				 : "try again in a moment");
}

void forward_reply(struct reply *reply, const struct backend_response *r,
		   const char *cache)
{
	struct http_header headers[REPLY_HEADERS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(passed_back); i++) {
		const char *value = backend_response_header(r, passed_back[i]);

		if (value)
			headers[n++] = (struct http_header){ passed_back[i],
							     value };
	}
	if (cache)
		headers[n++] = (struct http_header){ "X-Cronium-Cache", cache };
	reply_send(reply, r->status, headers, n, r->body, r->body_len);
}

bool forward_is_secret(const struct backend_response *r)
{
	const char *value = backend_response_header(r, "x-cronium-secret");

	return value && !strcmp(value, "1");
}
