/*
 * The runner's RESUME on arbitrary bytes, and what follows from its positions:
 * whatever they are, what is kept comes out at most once, from somewhere on.
 */
#include <assert.h>

#include "runner/kept.h"
#include "runner/resume.h"

#define FUZZ_FRAMES 6
#define FUZZ_FRAME_BYTES 10

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void fill(struct kept *k)
{
	static const char text[FUZZ_FRAME_BYTES] = "0123456789";

	for (int i = 0; i < FUZZ_FRAMES; i++) {
		enum frame_type type = (enum frame_type)(FRAME_STDOUT + i % 3);

		if (kept_append(k, type, text, sizeof(text)) < 0)
			return;
	}
}

static size_t drain(struct kept *k)
{
	struct frame f;
	size_t n = 0;

	while (kept_next(k, &f))
		n += f.len;
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct kept k = { 0 };
	struct positions p;

	fill(&k);
	drain(&k);
	if (!positions_parse(&p, data, len))
		kept_take(&k, &p);
	if (!resume_parse(&p, "ex_1", data, len))
		kept_rewind(&k, &p);
	assert(drain(&k) <= FUZZ_FRAMES * FUZZ_FRAME_BYTES);
	kept_deinit(&k);
	return 0;
}
