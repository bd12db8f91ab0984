/*
 * The frame decoder on arbitrary bytes, cut into pieces by the first byte:
 * what it hands out is the same however the bytes were cut, and what it
 * accepts can be encoded again.
 */
#include <assert.h>
#include <string.h>

#include "common/frame.h"

#define FUZZ_MESSAGE_MAX_BYTES (256 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Decodes data in pieces; appends every message to out, encoded again. */
static int decode(const uint8_t *data, size_t len, size_t piece,
		  struct buf *out)
{
	struct frame_decoder d = {
		.max_message_bytes = FUZZ_MESSAGE_MAX_BYTES,
	};
	struct frame f;
	int r = FRAME_E_AGAIN;

	while (len && r == FRAME_E_AGAIN) {
		size_t n = MIN(piece, len);

		if (frame_decoder_feed(&d, data, n) < 0)
			break;
		data += n;
		len -= n;
		while ((r = frame_decoder_next(&d, &f)) == 0) {
			assert(f.len <= FUZZ_MESSAGE_MAX_BYTES);
			if (frame_append(out, f.type, f.payload, f.len) < 0)
				break;
		}
	}
	frame_decoder_deinit(&d);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buf whole = { 0 }, cut = { 0 };
	int a, b;

	if (len < 2)
		return 0;
	a = decode(data + 1, len - 1, len, &whole);
	b = decode(data + 1, len - 1, data[0] % 31 + 1, &cut);
	assert(a == b);
	assert(whole.len == cut.len);
	assert(!cut.len || !memcmp(whole.data, cut.data, cut.len));
	buf_deinit(&whole);
	buf_deinit(&cut);
	return 0;
}
