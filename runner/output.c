#include "runner/output.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>

#include "runner/line.h"
#include "runner/notice.h"

#define OUTPUT_MIB_BYTES (1024 * 1024)
#define OUTPUT_NOTICE_BYTES 96
#define OUTPUT_READS_PER_TURN 16 /* so that signals are seen in between */

int output_init(struct output *o, struct event_base *base, int fd,
		enum frame_type type, void (*on_readable)(int, short, void *),
		void *ctx)
{
	o->fd = fd;
	o->type = type;
	o->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable,
				ctx);
	return o->readable ? 0 : -ENOMEM;
}

void output_deinit(struct output *o)
{
	if (o->readable)
		event_free(o->readable);
	o->readable = NULL;
	closep(&o->fd);
	o->fd = -1;
}

void output_start(struct output *o)
{
	if (o->fd >= 0)
		event_add(o->readable, NULL);
}

void output_stop(struct output *o)
{
	if (o->readable)
		event_del(o->readable);
}

static int output_tell_limit(const struct output *o, struct line *line)
{
	bool mib = o->max_bytes % OUTPUT_MIB_BYTES == 0;
	char text[OUTPUT_NOTICE_BYTES];
	int r = 0;

	/* The notice shall have a line of its own. */
	if (o->mid_line)
		r = line_log(line, o->type, "\n", 1);
	snprintf(text, sizeof(text),
		 "stderr is over %llu %s: the rest is dropped",
		 (unsigned long long)(mib ? o->max_bytes / OUTPUT_MIB_BYTES
					  : o->max_bytes),
		 mib ? "MiB" : "bytes");
	return r < 0 ? r : notice_send(line, text);
}

int output_tell_dropped(const struct output *o, struct line *line)
{
	char text[OUTPUT_NOTICE_BYTES];

	if (!o->dropped)
		return 0;
	snprintf(text, sizeof(text), "%llu bytes of stderr were dropped",
		 (unsigned long long)o->dropped);
	return notice_send(line, text);
}

/* How many of n bytes go on. */
static size_t output_count(struct output *o, const uint8_t *data, size_t n)
{
	size_t kept = n;

	if (o->max_bytes && n > o->max_bytes - o->bytes)
		kept = o->max_bytes - o->bytes;
	o->bytes += kept;
	o->dropped += n - kept;
	if (kept)
		o->mid_line = data[kept - 1] != '\n';
	return kept;
}

static int output_forward(struct output *o, struct line *line,
			  const uint8_t *data, size_t n)
{
	bool dropped = o->dropped > 0;
	size_t kept = output_count(o, data, n);
	int r = 0;

	if (kept)
		r = line_log(line, o->type, data, kept);
	if (r < 0 || dropped || !o->dropped)
		return r;
	return output_tell_limit(o, line);
}

int output_pump(struct output *o, struct line *line)
{
	static uint8_t chunk[FRAME_PAYLOAD_MAX_BYTES];
	int r;

	if (o->fd < 0)
		return OUTPUT_E_END;
	for (int i = 0; i < OUTPUT_READS_PER_TURN; i++) {
		size_t room = line_room(line);
		ssize_t n;

		if (!room)
			return OUTPUT_E_FULL;
		n = read(o->fd, chunk, MIN(room, sizeof(chunk)));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return OUTPUT_E_EMPTY;
		if (n <= 0) {
			output_deinit(o);
			return n < 0 ? -errno : OUTPUT_E_END;
		}
		r = output_forward(o, line, chunk, (size_t)n);
		if (r < 0)
			return r;
	}
	return OUTPUT_E_FULL;
}
