/* GET /input: prefetched with the assignment. */
#include "sidecar/execution.h"
#include "sidecar/handlers.h"
#include "sidecar/request.h"

void handle_input(struct request *req)
{
	const struct buf *input = &req->execution->assignment.input;

	if (input->len)
		reply_json(&req->reply, 200, input->data, input->len);
	else
		reply_json(&req->reply, 200, "null", 4);
}
