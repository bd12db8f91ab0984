/* Streams of records: what people and the CLI ask, and what a sidecar asks on
 * behalf of its script. */
#include <string.h>

#include "backend/api.h"
#include "backend/api_handlers.h"
#include "backend/live.h"
#include "backend/record_stream.h"
#include "backend/store_stream.h"
#include "backend/stream_append.h"
#include "common/id.h"

static const struct token_claims *claims_of(const struct api_call *call)
{
	return &call->caller.token->claims;
}

/* The job of the path; NULL: answered. */
static const char *job_param(struct api_call *call)
{
	const char *job = api_param(call, "id");

	if (id_valid("job", job))
		return job;
	api_problem(call, 404, "not_found", "there is no job %s", job);
	return NULL;
}

/* --- GET /v1/jobs/{id}/streams ------------------------------------------- */

static json_t *stream_json(const struct store_stream_info *s)
{
	static const char *const states[] = {
		[STORE_STREAM_OPEN] = "open",
		[STORE_STREAM_ENDED] = "ended",
		[STORE_STREAM_BROKEN] = "broken",
	};

	return json_pack("{s:s,s:I,s:I,s:s?}", "state", states[s->state],
			 "records", (json_int_t)s->records, "bytes",
			 (json_int_t)s->bytes, "from", s->from);
}

static void on_streams(int r, const struct store_result *result, void *ctx)
{
	struct api_call *call = ctx;

	if (r)
		api_store_problem(call, r, result, "job");
	else
		api_reply_json(call, 200,
			       json_pack("{s:o,s:o}", "input",
					 stream_json(&result->streams.input),
					 "output",
					 stream_json(&result->streams.output)));
}

API_HANDLER(api_stream_get)
{
	struct api_call *call = ctx;
	const char *job = job_param(call);

	if (job)
		api_start(call, store_stream_get(call->b->store, job,
						 api_done(call, on_streams)));
}

/* --- POST ---------------------------------------------------------------- */

static void on_input_body(struct http_exchange *ex, const uint8_t *body,
			  size_t len, void *data)
{
	struct api_call *call = data;
	const struct stream_append_options options = {
		.job = api_param(call, "id"),
		.kind = STORE_STREAM_INPUT,
		.check = true,
	};

	stream_append_start(call, &options, body, len);
}

API_HANDLER(api_stream_append_input)
{
	struct api_call *call = ctx;

	if (job_param(call))
		http_exchange_collect(ex, STREAM_APPEND_MAX_BYTES + 1,
				      on_input_body);
}

/* The sidecar has looked at each record. */
static void on_output_body(struct http_exchange *ex, const uint8_t *body,
			   size_t len, void *data)
{
	struct api_call *call = data;
	const struct stream_append_options options = {
		.job = claims_of(call)->job,
		.execution = claims_of(call)->subject,
		.kind = STORE_STREAM_OUTPUT,
	};

	stream_append_start(call, &options, body, len);
}

API_HANDLER(api_stream_append_output)
{
	struct api_call *call = ctx;

	if (api_in_scope(call, TOKEN_SCOPE_OUTPUT, "output"))
		http_exchange_collect(ex, STREAM_APPEND_MAX_BYTES + 1,
				      on_output_body);
}

/* --- GET ----------------------------------------------------------------- */

API_HANDLER(api_stream_read_input)
{
	struct api_call *call = ctx;
	struct record_stream_options options = {
		.kind = STORE_STREAM_INPUT,
		.follow = call->req->method != HTTP_HEAD,
	};

	if (api_in_scope(call, TOKEN_SCOPE_INPUT, "input") &&
	    api_query_int(call, "from", 0, INT64_MAX, 0, &options.from))
		record_stream_start(call, claims_of(call)->job, &options);
}

API_HANDLER(api_stream_read_output)
{
	struct api_call *call = ctx;
	const char *job = job_param(call);
	struct record_stream_options options = { .kind = STORE_STREAM_OUTPUT };
	int64_t follow;

	if (!job ||
	    !api_query_int(call, "from", 0, INT64_MAX, 0, &options.from) ||
	    !api_query_int(call, "follow", 0, 1, 0, &follow))
		return;
	options.follow = follow && call->req->method != HTTP_HEAD;
	record_stream_start(call, job, &options);
}
