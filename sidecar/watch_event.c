#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/json.h"
#include "sidecar/change_stream.h"
#include "sidecar/watch.h"

/* A line is a line of the event stream too. Between the tokens of JSON, and
 * only there may it be, one white space is as good as another. */
static void join_lines(uint8_t *data, size_t len)
{
	static const char ends[] = { '\n', '\r' };

	for (size_t i = 0; i < sizeof(ends); i++) {
		uint8_t *p = data, *end = data + len;

		while ((p = memchr(p, ends[i], (size_t)(end - p))))
			*p++ = ' ';
	}
}

int watch_append_event(struct buf *out, const char *name, const char *key,
		       const struct change *c)
{
	size_t start;
	int r;

	if ((r = buf_printf(out, "event: %s\nid: %" PRIu64 "\ndata: {\"key\":",
			    name, c->version)) ||
	    (r = json_append_string(out, key, strlen(key))) ||
	    (r = buf_printf(out, ",\"version\":%" PRIu64, c->version)))
		return r;
	if (!c->value)
		return buf_append_str(out, ",\"deleted\":true}\n\n");
	if ((r = buf_append_str(out, ",\"value\":")))
		return r;
	start = out->len;
	if ((r = buf_append(out, c->value, c->len)))
		return r;
	join_lines(out->data + start, c->len);
	return buf_append_str(out, "}\n\n");
}

int watch_append_lost(struct buf *out, const char *why)
{
	int r = buf_append_str(out, "event: disconnected\ndata: {\"reason\":");

	if (!r)
		r = json_append_string(out, why, strlen(why));
	return r ? r : buf_append_str(out, "}\n\n");
}

int watch_parse_version(const char *text, int64_t *out)
{
	char *end;

	*out = -1;
	if (!text || !*text)
		return 0;
	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*out = strtoll(text, &end, 10);
	return errno || *end ? -EINVAL : 0;
}
