#include "backend/stream_lines.h"

#include <errno.h>

#include "common/json.h"
#include "common/ndjson.h"

static int lines_add(struct stream_lines *l, const struct ndjson_record *record,
		     bool check)
{
	size_t at = 0;
	int r = check ? json_check(record->data, record->len, &at) : 0;

	if (r == -EINVAL) {
		l->bad_offset = (int64_t)(record->offset + at);
		return STREAM_LINES_E_INVALID;
	}
	if (!r)
		r = buf_append(&l->text, record->data, record->len);
	if (!r)
		r = buf_append(&l->text, "\n", 1);
	if (!r)
		l->n++;
	return r;
}

/* 0, NDJSON_E_MORE at the end, NDJSON_E_TOO_LARGE, or -ENOMEM. */
static int lines_next(struct ndjson *lines, struct ndjson_record *record)
{
	int r = ndjson_next(lines, record);

	return r == NDJSON_E_MORE ? ndjson_finish(lines, record) : r;
}

int stream_lines_parse(struct stream_lines *l, const uint8_t *body, size_t len,
		       size_t max_record_bytes, bool check)
{
	struct ndjson_record record;
	struct ndjson lines;
	int next = 0;
	/* All of it, and the newline that the last one may lack. */
	int r = buf_reserve(&l->text, len + 1);

	ndjson_init(&lines, max_record_bytes, 0);
	ndjson_feed(&lines, body, len);
	while (!r && !(next = lines_next(&lines, &record)))
		r = lines_add(l, &record, check);
	ndjson_deinit(&lines);
	if (r || next == NDJSON_E_MORE)
		return r;
	return next == NDJSON_E_TOO_LARGE ? STREAM_LINES_E_TOO_LARGE : next;
}

void stream_lines_deinit(struct stream_lines *l)
{
	buf_deinit(&l->text);
}
