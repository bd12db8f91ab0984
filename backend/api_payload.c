/* Programs as they are stored, and the key that they are signed with. */
#include "backend/api.h"
#include "backend/api_handlers.h"
#include "backend/store_job.h"

static void on_program(int r, const struct store_result *result, void *ctx)
{
	struct api_call *call = ctx;
	struct http_header headers[] = {
		{ "content-type", "application/octet-stream" },
		{ "cache-control", "no-store" },
		{ "x-cronium-signature", NULL },
	};

	if (r) {
		api_store_problem(call, r, result, api_param(call, "id"));
		return;
	}
	headers[2].value = result->job.signature;
	/* The last one, which may have been taken out of the store. */
	api_reply(call, 200, headers,
		  ARRAY_SIZE(headers) - !result->job.signature,
		  result->blob.data, result->blob.len);
}

API_HANDLER(api_job_payload)
{
	struct api_call *call = ctx;

	api_start(call,
		  store_job_read(call->b->store, api_param(call, "id"),
				 STORE_SCRIPT, api_done(call, on_program)));
}

API_HANDLER(api_payload_key)
{
	static const struct http_header headers[] = {
		{ "content-type", "application/x-pem-file" },
	};
	struct api_call *call = ctx;
	const struct buf *pem = &call->b->payload_pem;

	api_reply(call, 200, headers, ARRAY_SIZE(headers), pem->data, pem->len);
}
