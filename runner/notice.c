#include "runner/notice.h"

#include "common/buf.h"
#include "common/frame_stream.h"

int notice_send(struct frame_stream *stream, const char *text)
{
	struct buf b = { 0 };
	int r = buf_printf(&b, "%s\n", text);

	if (!r)
		r = frame_stream_send(stream, FRAME_NOTICE, b.data, b.len);
	buf_deinit(&b);
	return r;
}
