#include "sidecar/proxy_reply.h"

#include <string.h>

static const char PROXY_REPLY_CLOSE[] = "connection: close\r\n";

/* "HTTP/1.x 1yy": another reply follows; 101 is never asked for. */
static bool proxy_reply_is_interim(const struct proxy_reply *p)
{
	return p->n > 9 && !memcmp(p->line, "HTTP/1.", 7) && p->line[9] == '1';
}

/* A line has ended. 0 or -ENOMEM. */
static int proxy_reply_end_line(struct proxy_reply *p, struct buf *out)
{
	bool empty = !p->n || (p->n == 1 && *p->line == '\r');
	bool in_fields = p->in_fields;

	if (in_fields) {
		p->in_fields = !empty;
	} else {
		p->in_fields = proxy_reply_is_interim(p);
		p->done = !p->in_fields;
	}
	p->n = 0;
	if (in_fields || !p->done)
		return 0;
	return buf_append(out, PROXY_REPLY_CLOSE,
			  sizeof(PROXY_REPLY_CLOSE) - 1);
}

int proxy_reply_read(struct proxy_reply *p, const uint8_t *data, size_t len,
		     struct buf *out)
{
	size_t i = 0, from = 0;
	int r = 0;

	for (; !r && i < len && !p->done; i++) {
		if (data[i] != '\n') {
			if (p->n < sizeof(p->line))
				p->line[p->n] = (char)data[i];
			p->n++;
			continue;
		}
		r = buf_append(out, data + from, i + 1 - from);
		from = i + 1;
		if (!r)
			r = proxy_reply_end_line(p, out);
	}
	return r || from == len ? r : buf_append(out, data + from, len - from);
}
