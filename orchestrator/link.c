#include "orchestrator/link.h"

#include <errno.h>

#include "common/buf.h"
#include "common/frame_stream.h"
#include "common/json.h"

int link_send(struct frame_stream *s, enum frame_type type, const void *payload,
	      size_t len)
{
	int r = frame_stream_send(s, type, payload, len);

	return r == -EPIPE ? 0 : r;
}

int link_send_json(struct frame_stream *s, enum frame_type type, json_t *o)
{
	struct buf message = { 0 };
	int r = o ? json_append(&message, o) : -ENOMEM;

	if (!r)
		r = link_send(s, type, message.data, message.len);
	buf_deinit(&message);
	json_decref(o);
	return r;
}

const char *link_resumed(const json_t *ready)
{
	return json_get_bool(ready, "resumed", false)
		       ? json_get_str(ready, "execution", "")
		       : NULL;
}
