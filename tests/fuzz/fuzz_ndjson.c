/*
 * NDJSON from arbitrary bytes, in arbitrary pieces, some of which are let go
 * of half-way: the same records as a splitter finds that sees all at once.
 *
 * Input: a byte for the limit, one for the pieces' lengths, then the text.
 */
#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "common/ndjson.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What the text should be split into. */
struct naive {
	const uint8_t *text;
	size_t len, at;
	size_t max;
	uint64_t number;
};

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* 0, or how it ends, as ndjson_finish() says it. */
static int naive_next(struct naive *n, struct ndjson_record *out)
{
	while (n->at < n->len) {
		size_t start = n->at, end = start, first;

		while (end < n->len && n->text[end] != '\n')
			end++;
		first = start;
		while (first < end && is_blank(n->text[first]))
			first++;
		if (first == end) {
			n->at = end + 1;
			continue;
		}
		if (end - first > n->max + (n->text[end - 1] == '\r'))
			return NDJSON_E_TOO_LARGE;
		n->at = end + 1;
		while (is_blank(n->text[end - 1]))
			end--;
		*out = (struct ndjson_record){ n->text + first, end - first,
					       n->number++, first - start };
		return 0;
	}
	return NDJSON_E_MORE;
}

static void check_record(struct naive *naive, const struct ndjson_record *r)
{
	struct ndjson_record want;

	assert(naive_next(naive, &want) == 0);
	assert(r->len == want.len && r->number == want.number);
	assert(r->offset == want.offset);
	assert(!memcmp(r->data, want.data, r->len));
}

/* Splits one piece, which is gone afterwards; lets go of it at record keep. */
static int split_piece(struct ndjson *n, struct naive *naive,
		       const uint8_t *data, size_t len, size_t keep)
{
	uint8_t *piece = malloc(len ? len : 1);
	struct ndjson_record r;
	int e;

	assert(piece);
	memcpy(piece, data, len);
	ndjson_feed(n, piece, len);
	for (; !(e = ndjson_next(n, &r)); keep--) {
		if (!keep) {
			assert(ndjson_keep(n, &r) == 0);
			free(piece);
			piece = NULL;
		}
		check_record(naive, &r);
	}
	free(piece);
	return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct naive naive = { 0 }, all;
	struct ndjson_record r;
	struct ndjson n;
	uint32_t random;
	int e = NDJSON_E_MORE;

	if (len < 2)
		return 0;
	naive = (struct naive){ .text = data + 2,
				.len = len - 2,
				.max = data[0] % 40 };
	all = naive;
	random = data[1];
	ndjson_init(&n, naive.max, 0);
	for (size_t at = 0; at < all.len && e == NDJSON_E_MORE;) {
		size_t piece;

		random = random * 1103515245 + 12345;
		piece = MIN((random >> 16) % 24, all.len - at);
		e = split_piece(&n, &naive, all.text + at, piece,
				(random >> 8) % 4);
		at += piece;
	}
	if (e == NDJSON_E_MORE)
		while (!(e = ndjson_finish(&n, &r)))
			check_record(&naive, &r);
	assert(naive_next(&naive, &r) == e);
	ndjson_deinit(&n);
	return 0;
}
