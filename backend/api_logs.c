/* Logs: written by orchestrators, read by people and the CLI. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/api.h"
#include "backend/api_handlers.h"
#include "backend/follow.h"
#include "backend/live.h"
#include "backend/log_stream.h"
#include "backend/metrics.h"
#include "backend/store_log.h"
#include "backend/store_queue.h"
#include "common/fail_point.h"
#include "common/frame.h"
#include "common/id.h"

#define LOG_APPEND_MAX_BYTES (4 * 1024 * 1024) /* of one request */

/* --- GET /v1/jobs/{id}/logs ---------------------------------------------- */

API_HANDLER(api_log_read)
{
	struct api_call *call = ctx;
	const char *accept = http_request_header(call->req, "accept");
	const char *job = api_param(call, "id");
	struct log_stream_options options = {
		.frames = accept && !strcmp(accept, FRAME_CONTENT_TYPE),
	};
	int64_t follow;

	if (!api_query_int(call, "offset", 0, INT64_MAX, 0, &options.offset) ||
	    !api_query_int(call, "follow", 0, 1, 0, &follow))
		return;
	options.follow = follow && call->req->method != HTTP_HEAD;
	if (id_valid("job", job))
		log_stream_start(call, job, &options);
	else
		api_problem(call, 404, "not_found", "there is no job %s", job);
}

/* --- POST /v1/executions/{id}/logs --------------------------------------- */

/* The frames of one request, as the store wants them. */
struct log_upload {
	struct store_log_chunk *chunks;
	size_t n, cap;
	uint64_t bytes;
	struct buf data; /* all payloads, one after the other */
};

static void log_upload_deinit(struct log_upload *u)
{
	free(u->chunks);
	buf_deinit(&u->data);
}

static int log_upload_add(struct log_upload *u, const struct frame *f)
{
	struct store_log_chunk *c;

	if (u->n == u->cap) {
		size_t cap = u->cap ? 2 * u->cap : 64;

		c = reallocarray(u->chunks, cap, sizeof(*c));
		if (!c)
			return -ENOMEM;
		u->chunks = c;
		u->cap = cap;
	}
	c = &u->chunks[u->n++];
	c->stream = (enum store_stream)f->type;
	c->data.data = u->data.data + u->data.len;
	c->data.len = f->len;
	return buf_append(&u->data, f->payload, f->len);
}

/* 0, FRAME_E_INVALID, or -ENOMEM. */
static int log_upload_parse(struct log_upload *u, const uint8_t *body,
			    size_t len)
{
	struct frame_decoder d = { 0 };
	struct frame f;
	/* Reserved at once, so that chunks may point into it. */
	int r = buf_reserve(&u->data, len + 1);

	if (!r)
		r = frame_decoder_feed(&d, body, len);
	while (!r && !(r = frame_decoder_next(&d, &f))) {
		if (f.type > FRAME_NOTICE)
			r = FRAME_E_INVALID;
		else
			r = log_upload_add(u, &f);
	}
	if (r == FRAME_E_AGAIN)
		r = d.in.len || d.partial ? FRAME_E_INVALID : 0;
	frame_decoder_deinit(&d);
	return r;
}

static void reply_appended(struct api_call *call, int r,
			   const struct store_result *result)
{
	int64_t next = result->log_append.next;

	if (r == STORE_E_LOG_GAP)
		api_problem_with(call, 409, "log_gap", "expected", next,
				 "bytes are missing before offset: send from "
				 "%lld",
				 (long long)next);
	else if (r)
		api_store_problem(call, r, result, api_param(call, "id"));
	else if (result->log_append.full)
		api_reply_json(call, 200,
			       json_pack("{s:I,s:b}", "next", (json_int_t)next,
					 "full", 1));
	else
		api_reply_json(call, 200,
			       json_pack("{s:I}", "next", (json_int_t)next));
}

static void on_appended(struct backend *b, struct api_call *call, int r,
			const struct store_result *result)
{
	const struct follow_event grown = { 0 };

	FAIL_POINT("backend.log.committed");
	if (r == 0 && result->log_append.stored && result->job.id)
		follow_publish(b->follow, result->job.id, &grown);
	if (call)
		reply_appended(call, r, result);
}

static void append(struct api_call *call, const struct log_upload *u,
		   const struct store_lease *lease, int64_t offset)
{
	char notice[128];
	const struct store_log_append append = {
		.lease = *lease,
		.offset = offset,
		.chunks = u->chunks,
		.n = u->n,
		.limit_bytes = (int64_t)call->b->config->max_log_bytes,
		.limit_notice = notice,
	};
	struct store_done done;

	snprintf(notice, sizeof(notice),
		 "the log has reached its limit of %llu bytes; the rest is "
		 "not kept\n",
		 (unsigned long long)call->b->config->max_log_bytes);
	metrics_log_bytes(call->b->metrics, u->data.len);
	if (api_done_always(call, on_appended, &done))
		api_start(call,
			  store_log_append(call->b->store, &append, done));
}

static void on_append_body(struct http_exchange *ex, const uint8_t *body,
			   size_t len, void *data)
{
	struct api_call *call = data;
	struct store_lease lease = { .execution = api_param(call, "id") };
	struct log_upload u = { 0 };
	int64_t offset;
	int r;

	if (!api_query_int(call, "epoch", 1, INT64_MAX, 0, &lease.epoch) ||
	    !api_query_int(call, "offset", 0, INT64_MAX, 0, &offset))
		return;
	r = log_upload_parse(&u, body, len);
	if (r == 0)
		append(call, &u, &lease, offset);
	else if (r < 0)
		api_start(call, r);
	else
		api_problem(call, 400, "invalid_frames",
			    "the body must be whole frames of STDOUT, STDERR "
			    "and NOTICE");
	log_upload_deinit(&u);
}

API_HANDLER(api_log_append)
{
	http_exchange_collect(ex, LOG_APPEND_MAX_BYTES, on_append_body);
}
