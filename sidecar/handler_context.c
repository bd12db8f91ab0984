/* GET /context: what the assignment says about the job. */
#include "sidecar/execution.h"
#include "sidecar/handlers.h"
#include "sidecar/request.h"

void handle_context(struct request *req)
{
	const struct buf *context = &req->execution->assignment.context;

	reply_json(&req->reply, 200, context->data, context->len);
}
