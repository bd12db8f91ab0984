/* POST /tool-actions/execute: the backend's tools. Which of them the token
 * allows, what they take, and whether one was made before is its business. */
#include "common/json.h"
#include "sidecar/execution.h"
#include "sidecar/handlers.h"
#include "sidecar/relay.h"

static void on_action(struct relay *r, const uint8_t *body, size_t len)
{
	size_t at;

	if (json_check(body, len, &at) < 0)
		relay_refuse(r, 400, "invalid_json",
			     "the body has to be {\"tool\":…,\"action\":…,"
			     "\"params\":{…}}; it stops being JSON at byte %zu",
			     at);
	else
		relay_send(r, "/tool-actions/execute", body, len);
}

void handle_tool_action(struct request *req)
{
	static const struct relay_spec spec = {
		.method = "POST",
		.write = true,
		.rate = RATE_TOOLS,
		.on_body = on_action,
	};

	relay_begin(req, &spec, NULL, req->execution->assignment.value_bytes);
}
