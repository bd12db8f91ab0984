#include "common/ndjson.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

void ndjson_init(struct ndjson *n, size_t record_max_bytes, uint64_t first)
{
	*n = (struct ndjson){ .record_max_bytes = record_max_bytes,
			      .next = first };
}

void ndjson_deinit(struct ndjson *n)
{
	buf_deinit(&n->kept);
	buf_deinit(&n->half);
	n->data = NULL;
	n->len = 0;
}

void ndjson_feed(struct ndjson *n, const void *data, size_t len)
{
	assert(!n->len || n->too_large);
	n->data = data;
	n->len = len;
	n->in_kept = false;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static size_t count_blank(const uint8_t *data, size_t len)
{
	size_t i = 0;

	while (i < len && is_blank(data[i]))
		i++;
	return i;
}

/* A line of len bytes that count, so far or as a whole; last is its last. */
static bool fits(const struct ndjson *n, size_t len, uint8_t last)
{
	return len <= n->record_max_bytes ||
	       (len == n->record_max_bytes + 1 && last == '\r');
}

static int refuse(struct ndjson *n)
{
	n->too_large = true;
	return NDJSON_E_TOO_LARGE;
}

/* More of a line: the whole line, or what there is of it for now. */
static int hold(struct ndjson *n, const uint8_t *data, size_t len)
{
	size_t skip = n->half.len ? 0 : count_blank(data, len);

	n->blank += skip;
	data += skip;
	len -= skip;
	if (!len)
		return 0;
	if (!fits(n, n->half.len + len, data[len - 1]))
		return refuse(n);
	return buf_append(&n->half, data, len);
}

/* A line that is complete. NDJSON_E_MORE where it is no record. */
static int take(struct ndjson *n, const uint8_t *data, size_t len,
		struct ndjson_record *out)
{
	size_t skip = count_blank(data, len);
	uint64_t blank = n->blank + skip;

	n->blank = 0;
	data += skip;
	len -= skip;
	if (!len)
		return NDJSON_E_MORE;
	if (!fits(n, len, data[len - 1]))
		return refuse(n);
	while (is_blank(data[len - 1]))
		len--;
	*out = (struct ndjson_record){
		.data = data,
		.len = len,
		.number = n->next++,
		.offset = blank,
	};
	return 0;
}

static int take_half(struct ndjson *n, struct ndjson_record *out)
{
	n->handed_out = true;
	return take(n, n->half.data, n->half.len, out);
}

static void forget_record(struct ndjson *n)
{
	if (n->handed_out)
		buf_clear(&n->half);
	n->handed_out = false;
}

int ndjson_next(struct ndjson *n, struct ndjson_record *out)
{
	int r = n->too_large ? NDJSON_E_TOO_LARGE : 0;

	forget_record(n);
	while (!r && n->len) {
		const uint8_t *line = n->data;
		const uint8_t *lf = memchr(line, '\n', n->len);
		size_t len = lf ? (size_t)(lf - line) : n->len;

		n->data += len + (lf ? 1 : 0);
		n->len -= len + (lf ? 1 : 0);
		if (lf && !n->half.len) {
			r = take(n, line, len, out);
			if (r != NDJSON_E_MORE)
				return r;
			r = 0;
			continue;
		}
		r = hold(n, line, len);
		if (!r && lf)
			return take_half(n, out);
	}
	return r ? r : NDJSON_E_MORE;
}

int ndjson_finish(struct ndjson *n, struct ndjson_record *out)
{
	assert(!n->len || n->too_large);
	forget_record(n);
	if (n->too_large)
		return NDJSON_E_TOO_LARGE;
	return n->half.len ? take_half(n, out) : NDJSON_E_MORE;
}

int ndjson_keep(struct ndjson *n, struct ndjson_record *record)
{
	const uint8_t *from = n->handed_out ? n->data : record->data;
	size_t before = (size_t)(n->data - from);
	struct buf kept = { 0 };

	if (n->in_kept || (!before && !n->len))
		return 0;
	if (buf_append(&kept, from, before + n->len) < 0)
		return -ENOMEM;
	buf_deinit(&n->kept);
	n->kept = kept;
	n->in_kept = true;
	n->data = kept.data + before;
	if (!n->handed_out)
		record->data = kept.data;
	return 0;
}
