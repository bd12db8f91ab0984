#include "cli/job_cancel.h"

#include <errno.h>
#include <stdio.h>

#include "cli/api.h"
#include "cli/output.h"
#include "common/json.h"

/* Has no context, because it may come when the caller is gone. */
static void on_done(struct backend_call *call, const struct backend_response *r,
		    void *ctx)
{
	/* 409: it ended meanwhile, which whoever follows it hears. */
	if (r->error || (r->status / 100 != 2 && r->status != 409))
		output_error("cannot cancel the job: %s; it may still run",
			     r->error ? r->detail : "the server refuses");
}

int job_cancel_start(struct api *api, const char *id, const char *reason)
{
	static const struct backend_call_ops ops = { .on_done = on_done };
	static const struct backend_header headers[] = {
		{ "content-type", "application/json" },
	};
	_cleanup_json_ json_t *o = json_pack("{s:s}", "reason", reason);
	_cleanup_(buf_deinit) struct buf body = { 0 };
	char path[256];
	struct backend_request req = {
		.method = "POST",
		.path = path,
		.headers = headers,
		.n_headers = ARRAY_SIZE(headers),
		.deadline_ms = API_ANSWER_TIMEOUT_MS,
		.retry = BACKEND_RETRY_SAFE, /* twice is once */
	};

	if (!o || json_append(&body, o) < 0)
		return -ENOMEM;
	req.body = body.data;
	req.body_len = body.len;
	snprintf(path, sizeof(path), "/v1/jobs/%.128s/cancel", id);
	return backend_client_call(api->client, &req, &ops, NULL, NULL);
}
