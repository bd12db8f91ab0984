#include "cli/dev_stream.h"

#include <errno.h>
#include <string.h>

#include "common/ndjson.h"

void dev_stream_deinit(struct dev_stream *s)
{
	buf_deinit(&s->text);
	free(s->starts);
	*s = (struct dev_stream){ 0 };
}

static int start_add(struct dev_stream *s)
{
	size_t *starts = s->starts;

	if (!(s->n & (s->n - 1))) { /* full: 0, 1, 2, 4 … */
		size_t n = s->n ? (size_t)s->n * 2 : 1;

		starts = realloc(starts, n * sizeof(*starts));
		if (!starts)
			return -ENOMEM;
		s->starts = starts;
	}
	starts[s->n] = s->text.len;
	return 0;
}

int dev_stream_add(struct dev_stream *s, const void *record, size_t len)
{
	int r = buf_reserve(&s->text, len + 1);

	if (!r)
		r = start_add(s);
	if (!r)
		r = buf_append(&s->text, record, len);
	if (!r)
		r = buf_append(&s->text, "\n", 1);
	if (!r)
		s->n++;
	return r;
}

const uint8_t *dev_stream_from(const struct dev_stream *s, int64_t from,
			       size_t *len)
{
	size_t at = from < s->n ? s->starts[from] : s->text.len;

	*len = s->text.len - at;
	return s->text.data + at;
}

static void cut(struct dev_stream *s, int64_t n)
{
	if (n == s->n)
		return;
	s->text.len = s->starts[n];
	s->n = n;
}

static bool is_same(const struct dev_stream *s, int64_t number,
		    const struct ndjson_record *record)
{
	size_t at = s->starts[number];
	size_t end = number + 1 < s->n ? s->starts[number + 1] : s->text.len;

	return end - at == record->len + 1 &&
	       !memcmp(s->text.data + at, record->data, record->len);
}

static int take(struct dev_stream *s, int64_t number,
		const struct ndjson_record *record)
{
	if (number < s->n)
		return is_same(s, number, record) ? 0 : DEV_STREAM_E_CONFLICT;
	if (s->ended || s->broken)
		return DEV_STREAM_E_ENDED;
	if (s->text.len + record->len >= DEV_STREAM_MAX_BYTES)
		return DEV_STREAM_E_LIMIT;
	return dev_stream_add(s, record->data, record->len);
}

static int take_all(struct dev_stream *s, int64_t from, const void *lines,
		    size_t len)
{
	struct ndjson split;
	struct ndjson_record record;
	int r, taken = 0;

	ndjson_init(&split, len + 1, (uint64_t)from);
	ndjson_feed(&split, lines, len);
	while (!taken && !(r = ndjson_next(&split, &record)))
		taken = take(s, (int64_t)record.number, &record);
	if (!taken && r == NDJSON_E_MORE &&
	    !(r = ndjson_finish(&split, &record)))
		taken = take(s, (int64_t)record.number, &record);
	ndjson_deinit(&split);
	return taken ? taken : r < 0 ? r : 0;
}

int dev_stream_append(struct dev_stream *s, int64_t from, const void *lines,
		      size_t len, bool end, int64_t *added)
{
	int64_t before = s->n;
	int r;

	*added = 0;
	if (from > s->n)
		return DEV_STREAM_E_GAP;
	r = take_all(s, from < 0 ? s->n : from, lines, len);
	if (r) {
		cut(s, before);
		return r;
	}
	*added = s->n - before;
	s->ended |= end;
	return 0;
}
