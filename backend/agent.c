#include "backend/agent.h"

#include <errno.h>

#include "backend/agent_status.h"
#include "backend/api.h"
#include "backend/live.h"
#include "common/json.h"

void agent_free(struct agent *a)
{
	agent_usage_free(a->usage);
	free(a);
}

void agent_send_frames(struct agent *a, const struct buf *frames)
{
	if (!http_respond_write(a->call->ex, frames->data, frames->len))
		a->full = true;
}

int agent_send(struct agent *a, enum frame_type type, const void *payload,
	       size_t len)
{
	struct buf frames = { 0 };
	int r = frame_append(&frames, type, payload, len);

	if (!r)
		agent_send_frames(a, &frames);
	buf_deinit(&frames);
	return r;
}

int agent_send_cancel(struct agent *a, const struct live_execution *x)
{
	_cleanup_json_ json_t *o = json_pack("{s:s,s:I,s:s*}", "execution",
					     x->id, "epoch",
					     (json_int_t)x->epoch, "reason",
					     x->cancel_reason);
	struct buf text = { 0 };
	int r = o ? json_append(&text, o) : -ENOMEM;

	if (!r)
		r = agent_send(a, FRAME_CANCEL, text.data, text.len);
	buf_deinit(&text);
	return r;
}
