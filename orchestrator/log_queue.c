#include "orchestrator/log_queue.h"

#include <string.h>

#define LOG_QUEUE_NO_MARK UINT8_MAX

/* In front of the frames of one put. */
struct log_queue_entry {
	uint64_t raw;
	uint32_t covered;
	uint32_t wire, payload; /* bytes of the frames; of what is in them */
	uint8_t stream;
	bool in_mask;
};

void log_queue_deinit(struct log_queue *q)
{
	buf_deinit(&q->entries);
}

void log_queue_begin(struct log_queue *q, const struct log_position *at)
{
	q->head = q->tail = *at;
}

static void log_queue_move(struct log_position *at,
			   const struct log_queue_entry *e)
{
	if (e->stream == LOG_QUEUE_NO_MARK)
		return;
	at->raw[e->stream] = e->raw;
	if (e->stream < LOG_MASKED_STREAMS)
		at->masks[e->stream] = (struct redact_state){ e->covered,
							      e->in_mask };
}

static size_t log_queue_wire_bytes(size_t len)
{
	size_t frames = (len + FRAME_PAYLOAD_MAX_BYTES - 1) /
			FRAME_PAYLOAD_MAX_BYTES;

	return len + frames * FRAME_HEADER_BYTES;
}

/* No frame is continued by the next, so that the backend need not hold it. */
static int log_queue_append(struct log_queue *q, enum frame_type type,
			    const uint8_t *data, size_t len)
{
	int r = 0;

	while (!r && len) {
		size_t n = MIN(len, (size_t)FRAME_PAYLOAD_MAX_BYTES);

		r = frame_append(&q->entries, type, data, n);
		data += n;
		len -= n;
	}
	return r;
}

int log_queue_put(struct log_queue *q, enum frame_type type, const void *data,
		  size_t len, const struct log_mark *mark)
{
	struct log_queue_entry e = {
		.raw = mark ? mark->raw : 0,
		.covered = mark ? (uint32_t)mark->mask.covered : 0,
		.in_mask = mark && mark->mask.in_mask,
		.wire = (uint32_t)log_queue_wire_bytes(len),
		.payload = (uint32_t)len,
		.stream = mark ? (uint8_t)mark->stream : LOG_QUEUE_NO_MARK,
	};
	int r;

	log_queue_move(&q->tail, &e);
	if (!len && log_queue_empty(q)) {
		q->head = q->tail;
		return 0;
	}
	r = buf_reserve(&q->entries, sizeof(e) + e.wire);
	if (!r)
		r = buf_append(&q->entries, &e, sizeof(e));
	if (!r)
		r = log_queue_append(q, type, data, len);
	if (!r)
		q->payload += len;
	return r;
}

/* How many bytes of entries, and of frames in them, one take moves. */
static size_t log_queue_measure(const struct log_queue *q, size_t max,
				size_t *wire)
{
	struct log_queue_entry e;
	size_t n = 0;

	*wire = 0;
	while (n < q->entries.len) {
		memcpy(&e, q->entries.data + n, sizeof(e));
		if (n && *wire + e.wire > max)
			break;
		*wire += e.wire;
		n += sizeof(e) + e.wire;
	}
	return n;
}

int log_queue_take(struct log_queue *q, size_t max, struct buf *body,
		   size_t *payload)
{
	size_t wire, n = log_queue_measure(q, max, &wire), at = 0;
	struct log_queue_entry e;
	int r = buf_reserve(body, wire);

	*payload = 0;
	while (!r && at < n) {
		memcpy(&e, q->entries.data + at, sizeof(e));
		at += sizeof(e);
		r = buf_append(body, q->entries.data + at, e.wire);
		at += e.wire;
		log_queue_move(&q->head, &e);
		*payload += e.payload;
	}
	if (r < 0)
		return r;
	buf_consume(&q->entries, n);
	q->payload -= *payload;
	return 0;
}

void log_queue_drop(struct log_queue *q)
{
	buf_deinit(&q->entries);
	q->payload = 0;
	q->head = q->tail;
}
