#include "runner/notice.h"

#include "common/buf.h"
#include "runner/line.h"

int notice_send(struct line *line, const char *text)
{
	struct buf b = { 0 };
	int r = buf_printf(&b, "%s\n", text);

	if (!r)
		r = line_log(line, FRAME_NOTICE, b.data, b.len);
	buf_deinit(&b);
	return r;
}
