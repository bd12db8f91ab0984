#include "runner/output.h"

#include <errno.h>
#include <event2/event.h>

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

/* How many of n bytes go on. */
static size_t output_count(struct output *o, size_t n)
{
	size_t kept = n;

	if (o->max_bytes && n > o->max_bytes - o->bytes) {
		kept = o->max_bytes - o->bytes;
		o->dropped += n - kept;
	}
	o->bytes += kept;
	return kept;
}

int output_pump(struct output *o, struct frame_stream *stream)
{
	static uint8_t chunk[FRAME_PAYLOAD_MAX_BYTES];
	int r;

	if (o->fd < 0)
		return OUTPUT_E_END;
	for (int i = 0; i < OUTPUT_READS_PER_TURN; i++) {
		uint64_t dropped = o->dropped;
		ssize_t n;
		size_t kept;

		if (frame_stream_full(stream))
			return OUTPUT_E_FULL;
		n = read(o->fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return OUTPUT_E_EMPTY;
		if (n <= 0) {
			output_deinit(o);
			return n < 0 ? -errno : OUTPUT_E_END;
		}
		kept = output_count(o, (size_t)n);
		if (kept)
			o->mid_line = chunk[kept - 1] != '\n';
		r = kept ? frame_stream_send(stream, o->type, chunk, kept) : 0;
		if (r < 0)
			return r;
		if (o->dropped && !dropped)
			return OUTPUT_E_LIMIT;
	}
	return OUTPUT_E_FULL;
}
