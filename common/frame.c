#include "common/frame.h"

#include <errno.h>
#include <string.h>

const char *frame_type_name(uint8_t type)
{
	switch (type) {
	case FRAME_STDOUT:
		return "STDOUT";
	case FRAME_STDERR:
		return "STDERR";
	case FRAME_NOTICE:
		return "NOTICE";
	case FRAME_READY:
		return "READY";
	case FRAME_ASSIGN:
		return "ASSIGN";
	case FRAME_SCRIPT:
		return "SCRIPT";
	case FRAME_INPUT:
		return "INPUT";
	case FRAME_SIGNAL:
		return "SIGNAL";
	case FRAME_EXIT:
		return "EXIT";
	case FRAME_REDACT:
		return "REDACT";
	case FRAME_ACK:
		return "ACK";
	case FRAME_DRAIN:
		return "DRAIN";
	case FRAME_DRAINED:
		return "DRAINED";
	case FRAME_HEARTBEAT:
		return "HEARTBEAT";
	case FRAME_STARTED:
		return "STARTED";
	case FRAME_RESUME:
		return "RESUME";
	case FRAME_TAKEN:
		return "TAKEN";
	case FRAME_DISMISS:
		return "DISMISS";
	case FRAME_USAGE:
		return "USAGE";
	case FRAME_SPEC:
		return "SPEC";
	case FRAME_STATE:
		return "STATE";
	case FRAME_CANCEL:
		return "CANCEL";
	case FRAME_REVOKE:
		return "REVOKE";
	case FRAME_POSITION:
		return "POSITION";
	case FRAME_CHANGE:
		return "CHANGE";
	case FRAME_VALUE:
		return "VALUE";
	case FRAME_EVENT:
		return "EVENT";
	default:
		return "?";
	}
}

static bool frame_type_known(uint8_t type)
{
	return frame_type_name(type)[0] != '?';
}

void frame_header_write(uint8_t out[FRAME_HEADER_BYTES], uint8_t type,
			size_t len)
{
	out[0] = type;
	out[1] = (uint8_t)(len >> 24);
	out[2] = (uint8_t)(len >> 16);
	out[3] = (uint8_t)(len >> 8);
	out[4] = (uint8_t)len;
}

size_t frame_header_length(const uint8_t header[FRAME_HEADER_BYTES])
{
	return (size_t)header[1] << 24 | (size_t)header[2] << 16 |
	       (size_t)header[3] << 8 | header[4];
}

int frame_append(struct buf *out, enum frame_type type, const void *payload,
		 size_t len)
{
	const uint8_t *p = payload;
	size_t frames = len / FRAME_PAYLOAD_MAX_BYTES + 1;
	int r;

	/* All of the message or, without memory, nothing of it. */
	r = buf_reserve(out, len + frames * FRAME_HEADER_BYTES);
	if (r < 0)
		return r;
	do {
		size_t n = MIN(len, FRAME_PAYLOAD_MAX_BYTES);
		uint8_t more = len > n ? FRAME_MORE : 0;
		uint8_t *at = out->data + out->len;

		frame_header_write(at, (uint8_t)type | more, n);
		out->len += FRAME_HEADER_BYTES + n;
		if (n) {
			memcpy(at + FRAME_HEADER_BYTES, p, n);
			p += n;
		}
		len -= n;
	} while (len);
	return 0;
}

void frame_decoder_deinit(struct frame_decoder *d)
{
	buf_deinit(&d->in);
	buf_deinit(&d->message);
}

/* Gives up what the last call handed out. */
static void frame_decoder_settle(struct frame_decoder *d)
{
	if (d->taken)
		buf_consume(&d->in, d->taken);
	d->taken = 0;
	if (d->message_done)
		buf_deinit(&d->message);
	d->message_done = false;
}

int frame_decoder_feed(struct frame_decoder *d, const void *data, size_t len)
{
	frame_decoder_settle(d);
	return buf_append(&d->in, data, len);
}

static bool frame_decoder_accepts(const struct frame_decoder *d, uint8_t type,
				  size_t len)
{
	size_t max = d->max_message_bytes;

	if (!max)
		max = FRAME_MESSAGE_MAX_BYTES;
	if (!frame_type_known(type) || len > FRAME_PAYLOAD_MAX_BYTES)
		return false;
	if (d->partial && d->partial != type)
		return false;
	return d->message.len + len <= max;
}

int frame_decoder_next(struct frame_decoder *d, struct frame *out)
{
	frame_decoder_settle(d);
	while (d->in.len >= FRAME_HEADER_BYTES) {
		uint8_t type = d->in.data[0] & (uint8_t)~FRAME_MORE;
		bool more = d->in.data[0] & FRAME_MORE;
		size_t len = frame_header_length(d->in.data);
		const uint8_t *payload = d->in.data + FRAME_HEADER_BYTES;
		int r;

		if (!frame_decoder_accepts(d, type, len))
			return FRAME_E_INVALID;
		if (d->in.len < FRAME_HEADER_BYTES + len)
			return FRAME_E_AGAIN;
		if (!more && !d->partial) {
			d->taken = FRAME_HEADER_BYTES + len;
			*out = (struct frame){ type, payload, len };
			return 0;
		}
		r = buf_append(&d->message, payload, len);
		if (r < 0)
			return r;
		buf_consume(&d->in, FRAME_HEADER_BYTES + len);
		d->partial = more ? type : 0;
		if (more)
			continue;
		d->message_done = true;
		*out = (struct frame){ type, d->message.data, d->message.len };
		return 0;
	}
	return FRAME_E_AGAIN;
}
