/* POST /output: acknowledged once the backend has committed it. */
#include "common/json.h"
#include "sidecar/execution.h"
#include "sidecar/handlers.h"
#include "sidecar/relay.h"

static void on_output(struct relay *r, const uint8_t *body, size_t len)
{
	size_t at;

	if (json_check(body, len, &at) < 0)
		relay_refuse(r, 400, "invalid_json",
			     "the output has to be one JSON value; it stops "
			     "being JSON at byte %zu",
			     at);
	else
		relay_send(r, "/output", body, len);
}

void handle_output(struct request *req)
{
	static const struct relay_spec spec = {
		.method = "POST",
		.write = true,
		.on_body = on_output,
	};

	relay_begin(req, &spec, NULL, req->execution->assignment.output_bytes);
}
