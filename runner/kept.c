#include "runner/kept.h"

#include <string.h>

void kept_deinit(struct kept *k)
{
	buf_deinit(&k->frames);
}

size_t kept_room(const struct kept *k)
{
	size_t used = k->frames.len + FRAME_HEADER_BYTES;

	if (used >= KEPT_MAX_BYTES)
		return 0;
	return MIN(KEPT_MAX_BYTES - used, (size_t)FRAME_PAYLOAD_MAX_BYTES);
}

int kept_append(struct kept *k, enum frame_type type, const void *data,
		size_t len)
{
	size_t need = FRAME_HEADER_BYTES + len;
	int r = 0;

	/* With room to spare: what is kept is not moved for each frame. */
	if (k->frames.cap - k->frames.len < need)
		r = buf_reserve(&k->frames, KEPT_MAX_BYTES);
	if (!r)
		r = frame_append(&k->frames, type, data, len);
	if (!r)
		k->end.at[positions_part_of(type)] += len;
	return r;
}

bool kept_all_sent(const struct kept *k)
{
	return k->sent == k->frames.len;
}

bool kept_next(struct kept *k, struct frame *out)
{
	while (!kept_all_sent(k)) {
		const uint8_t *frame = k->frames.data + k->sent;
		size_t len = frame_header_length(frame), skip;
		enum positions_part part = positions_part_of(
			(enum frame_type)frame[0]);
		uint64_t at = k->next.at[part], taken = k->taken.at[part];

		k->sent += FRAME_HEADER_BYTES + len;
		k->next.at[part] += len;
		skip = taken > at ? MIN(taken - at, len) : 0;
		if (skip == len)
			continue;
		*out = (struct frame){
			.type = (enum frame_type)frame[0],
			.payload = frame + FRAME_HEADER_BYTES + skip,
			.len = len - skip,
		};
		return true;
	}
	return false;
}

/* Frames that nobody will ask for are dropped, as far as they are in front. */
static void kept_drop(struct kept *k)
{
	size_t dropped = 0, sent = k->sent;

	while (dropped < k->frames.len) {
		const uint8_t *frame = k->frames.data + dropped;
		size_t len = frame_header_length(frame);
		enum positions_part part = positions_part_of(
			(enum frame_type)frame[0]);

		if (k->begin.at[part] + len > k->taken.at[part])
			break;
		k->begin.at[part] += len;
		if (dropped >= sent)
			k->next.at[part] += len;
		dropped += FRAME_HEADER_BYTES + len;
	}
	buf_consume(&k->frames, dropped);
	k->sent = sent - MIN(sent, dropped);
}

/*
 * The same wherever they are: of two parts one may stand still for long, while
 * the orchestrator holds back what could become a secret, and the other must
 * not end up behind it for want of room.
 */
static void kept_squeeze(struct kept *k)
{
	struct positions at = k->begin;
	size_t kept = 0, sent = 0, len;

	for (size_t i = 0; i < k->frames.len; i += FRAME_HEADER_BYTES + len) {
		const uint8_t *frame = k->frames.data + i;
		enum positions_part part = positions_part_of(
			(enum frame_type)frame[0]);

		len = frame_header_length(frame);
		at.at[part] += len;
		if (at.at[part] <= k->taken.at[part]) {
			k->begin.at[part] += len;
			k->next.at[part] += i < k->sent ? 0 : len;
			continue;
		}
		memmove(k->frames.data + kept, frame, FRAME_HEADER_BYTES + len);
		kept += FRAME_HEADER_BYTES + len;
		sent += i < k->sent ? FRAME_HEADER_BYTES + len : 0;
	}
	k->frames.len = kept;
	k->sent = sent;
}

void kept_take(struct kept *k, const struct positions *taken)
{
	for (size_t i = 0; i < POSITIONS_PARTS; i++) {
		uint64_t at = MIN(taken->at[i], k->end.at[i]);

		k->taken.at[i] = MAX(k->taken.at[i], at);
	}
	kept_drop(k);
	if (k->frames.len > KEPT_SQUEEZE_BYTES)
		kept_squeeze(k);
}

uint64_t kept_rewind(struct kept *k, const struct positions *taken)
{
	uint64_t gone = 0;

	k->sent = 0;
	k->next = k->begin;
	for (size_t i = 0; i < POSITIONS_PARTS; i++) {
		uint64_t at = taken->at[i], begin = k->begin.at[i];

		gone += begin > at ? begin - at : 0;
		k->taken.at[i] = MIN(MAX(at, begin), k->end.at[i]);
	}
	kept_drop(k);
	return gone;
}
