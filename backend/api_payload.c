/* Programs as they are stored, and the key that they are signed with. */
#include <errno.h>

#include "backend/api.h"
#include "backend/api_handlers.h"
#include "payload/sign.h"

/* Of a program from before there were signatures, one is made. */
static const char *program_signature(const struct api_call *call,
				     const struct store_result *result,
				     struct buf *made)
{
	if (result->job.signature)
		return result->job.signature;
	if (payload_sign(call->b->keys.payload, result->blob.data,
			 result->blob.len, made))
		return NULL;
	return buf_cstr(made);
}

static void on_program(int r, const struct store_result *result, void *ctx)
{
	struct api_call *call = ctx;
	struct buf made = { 0 };
	struct http_header headers[] = {
		{ "content-type", "application/octet-stream" },
		{ "cache-control", "no-store" },
		{ "x-cronium-signature", NULL },
	};

	if (r) {
		api_store_problem(call, r, result, api_param(call, "id"));
		return;
	}
	headers[2].value = program_signature(call, result, &made);
	if (headers[2].value)
		api_reply(call, 200, headers, ARRAY_SIZE(headers),
			  result->blob.data, result->blob.len);
	else
		api_start(call, -ENOMEM);
	buf_deinit(&made);
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
