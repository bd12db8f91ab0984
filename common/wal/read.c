#include "common/wal/read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/wal/listing.h"
#include "common/wal/record.h"

#define READ_CHUNK_BYTES 65536
/* Two records whose line feed was lost are still found. */
#define READ_LINE_MAX_BYTES (2 * WAL_RECORD_MAX_BYTES)
/* In how many places of a bad line the beginning of a record is tried. */
#define READ_RESYNC_TRIES 64
#define READ_BEGIN "{\"seq\":"

struct read_range {
	uint64_t offset, len; /* len 0: none */
};

struct wal_reader {
	int dir_fd, fd;
	uint64_t from;
	struct wal_listing list;
	uint64_t segment, next; /* UINT64_MAX: none that is known */
	/* A newer segment is there, so that this one grows no more: what is
	 * read now is its end. */
	bool closing;
	bool first_due; /* no record of this segment was read yet */

	uint64_t offset; /* of in.data */
	struct buf in;
	size_t searched; /* of in, without a line feed */
	size_t handed;   /* of in, to be consumed by the next call */

	uint64_t expect; /* the number that comes next; 0: any */
	uint64_t last;
	uint32_t last_crc;
	struct read_range bad, aside;
	uint64_t aside_first, aside_last;
	struct wal_damage tail;
	struct wal_item held; /* line NULL: none */
};

/* --- damage --------------------------------------------------------------- */

static void read_damage(const struct wal_reader *r, struct wal_damage *d,
			enum wal_damage_kind kind, struct read_range range)
{
	*d = (struct wal_damage){ .kind = kind,
				  .offset = range.offset,
				  .len = range.len };
	wal_segment_name(r->segment, d->file);
}

/* The records from the one that is expected to before seq are not there. */
static void read_missing(const struct wal_reader *r, struct wal_damage *d,
			 uint64_t seq)
{
	if (seq > r->expect) {
		d->missing_first = r->expect;
		d->missing_last = seq - 1;
	}
}

/* --- bytes ---------------------------------------------------------------- */

static void read_consume(struct wal_reader *r, size_t n)
{
	buf_consume(&r->in, n);
	r->offset += n;
	r->searched = r->searched > n ? r->searched - n : 0;
}

static void read_grow(const struct wal_reader *r, struct read_range *range,
		      size_t n)
{
	if (!range->len)
		range->offset = r->offset;
	range->len += n;
}

/* Once records are set aside, everything behind them is. */
static void read_skip(struct wal_reader *r, size_t n)
{
	read_grow(r, r->aside.len ? &r->aside : &r->bad, n);
	read_consume(r, n);
}

/* 0, WAL_READ_E_END or negative errno. */
static int read_fill(struct wal_reader *r)
{
	int result = buf_reserve(&r->in, READ_CHUNK_BYTES);
	ssize_t n;

	if (result < 0)
		return result;
	do {
		n = pread(r->fd, r->in.data + r->in.len, READ_CHUNK_BYTES,
			  (off_t)(r->offset + r->in.len));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	r->in.len += (size_t)n;
	return n ? 0 : WAL_READ_E_END;
}

/* The length of the line that in begins with; its line feed is there. 0,
 * WAL_READ_E_END or negative errno. */
static int read_line(struct wal_reader *r, size_t *len)
{
	for (;;) {
		size_t left = r->in.len - r->searched;
		const uint8_t *lf = left ? memchr(r->in.data + r->searched,
						  '\n', left)
					 : NULL;
		int result;

		if (lf) {
			*len = (size_t)(lf - r->in.data);
			return 0;
		}
		r->searched = r->in.len;
		if (r->in.len >= READ_LINE_MAX_BYTES)
			read_skip(r, r->in.len - WAL_RECORD_MAX_BYTES);
		result = read_fill(r);
		if (result)
			return result;
	}
}

/* --- segments ------------------------------------------------------------- */

static void read_find_next(struct wal_reader *r)
{
	r->next = wal_listing_after(&r->list, r->segment);
}

/* Looks which segments there are now. */
static int read_list(struct wal_reader *r)
{
	int result = wal_listing_update(&r->list, r->dir_fd);

	if (!result)
		read_find_next(r);
	return result;
}

static void read_close(struct wal_reader *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

/* Opens the next segment. 0, WAL_READ_E_END: there is none, or negative errno;
 * one that was removed meanwhile is left out. */
static int read_move(struct wal_reader *r)
{
	char name[WAL_SEGMENT_NAME_BYTES];

	read_close(r);
	while (r->fd < 0) {
		if (r->next == UINT64_MAX)
			return WAL_READ_E_END;
		r->segment = r->next;
		read_find_next(r);
		wal_segment_name(r->segment, name);
		r->fd = openat(r->dir_fd, name,
			       O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (r->fd < 0 && errno != ENOENT)
			return -errno;
	}
	if (!r->expect || r->expect > r->segment)
		r->expect = r->segment;
	r->first_due = true;
	r->closing = false;
	r->offset = 0;
	r->searched = 0;
	buf_clear(&r->in);
	return 0;
}

/* The end of the newest segment, for now: what is no record there may become
 * one, and is read again the next time. */
static int read_pause(struct wal_reader *r)
{
	struct read_range left = { r->offset, r->in.len };

	if (r->bad.len) {
		left.offset = r->bad.offset;
		left.len += r->bad.len;
	}
	read_damage(r, &r->tail, left.len ? WAL_DAMAGE_TORN : WAL_DAMAGE_NONE,
		    left);
	r->offset = left.offset;
	r->bad = (struct read_range){ 0 };
	r->searched = 0;
	buf_clear(&r->in);
	return WAL_READ_E_END;
}

/* What is left over at the end of a segment that another one follows. */
static bool read_leftover(struct wal_reader *r, struct wal_damage *d)
{
	if (r->in.len)
		read_skip(r, r->in.len);
	if (r->bad.len) {
		read_damage(r, d, WAL_DAMAGE_UNREADABLE, r->bad);
		read_missing(r, d, r->next);
		r->expect = r->next;
		r->bad = (struct read_range){ 0 };
		return true;
	}
	if (r->aside.len) {
		read_damage(r, d, WAL_DAMAGE_SET_ASIDE, r->aside);
		d->missing_first = r->aside_first;
		d->missing_last = r->aside_last;
		r->aside = (struct read_range){ 0 };
		return true;
	}
	return false;
}

/* All bytes of this segment were read. 0: go on, WAL_READ_E_END, or negative
 * errno. */
static int read_end_of_file(struct wal_reader *r, struct wal_damage *d)
{
	int result;

	if (!r->closing) {
		result = read_list(r);
		if (result < 0)
			return result;
		if (r->next == UINT64_MAX)
			return read_pause(r);
		/* It may have grown before the next one was begun. */
		r->closing = true;
		return 0;
	}
	return read_leftover(r, d) ? 0 : read_move(r);
}

/* --- records -------------------------------------------------------------- */

/* Finds the record that the line ends with; *at: where it begins. */
static bool read_find(const char *line, size_t len, size_t *at,
		      struct wal_item *item)
{
	const char *p = line;

	for (size_t i = 0; p && i < READ_RESYNC_TRIES; i++) {
		size_t rest = len - (size_t)(p - line);

		if (wal_record_check(p, rest, &item->seq, &item->crc)) {
			*at = (size_t)(p - line);
			return true;
		}
		p = rest > 1 ? memmem(p + 1, rest - 1, READ_BEGIN,
				      strlen(READ_BEGIN))
			     : NULL;
	}
	return false;
}

/* Whether the first record of a segment is what it has to be. */
static int read_check_first(const struct wal_reader *r,
			    const struct wal_item *item, bool *good)
{
	struct wal_record record;
	char previous[16];
	int result = wal_record_decode(item->line, item->len, &record);

	*good = false;
	if (result)
		return result == -EBADMSG ? 0 : result;
	*good = record.type == WAL_SEGMENT;
	snprintf(previous, sizeof(previous), "%08x", r->last_crc);
	if (r->last && r->last + 1 == item->seq &&
	    strcmp(json_get_str(record.data, "previous", ""), previous))
		*good = false;
	wal_record_deinit(&record);
	return 0;
}

/* What is to be said before this record. */
static int read_judge(struct wal_reader *r, const struct wal_item *item,
		      struct wal_damage *d)
{
	struct read_range here = { item->offset, 0 };
	bool good = true;
	int result = 0;

	if (r->bad.len) {
		read_damage(r, d, WAL_DAMAGE_UNREADABLE, r->bad);
	} else if (item->seq > r->expect) {
		read_damage(r, d, WAL_DAMAGE_GAP, here);
	} else if (r->first_due) {
		result = read_check_first(r, item, &good);
		if (!good)
			read_damage(r, d, WAL_DAMAGE_FIRST, here);
	}
	read_missing(r, d, item->seq);
	return result;
}

static int read_accept(struct wal_reader *r, struct wal_item *item,
		       struct wal_damage *d)
{
	int result = read_judge(r, item, d);

	if (result < 0)
		return result;
	r->bad = (struct read_range){ 0 };
	r->first_due = false;
	r->expect = item->seq + 1;
	r->last = item->seq;
	r->last_crc = item->crc;
	r->handed = item->len + 1;
	if (item->seq >= r->from)
		r->held = *item;
	return 0;
}

static void read_set_aside(struct wal_reader *r, const struct wal_item *item)
{
	if (!r->aside.len)
		r->aside_first = r->aside_last = item->seq;
	r->aside_first = MIN(r->aside_first, item->seq);
	r->aside_last = MAX(r->aside_last, item->seq);
	read_grow(r, &r->aside, item->len + 1);
	read_consume(r, item->len + 1);
}

/* One line, whose line feed is at len. */
static int read_step(struct wal_reader *r, size_t len, struct wal_damage *d)
{
	struct wal_item item = { .segment = r->segment };
	size_t at;

	if (!read_find((char *)r->in.data, len, &at, &item) ||
	    (item.seq < r->expect && !r->aside.len)) {
		read_skip(r, len + 1);
		return 0;
	}
	if (at)
		read_skip(r, at);
	item.line = (char *)r->in.data;
	item.len = len - at;
	item.offset = r->offset;
	if (!r->aside.len && item.seq < r->next)
		return read_accept(r, &item, d);
	read_set_aside(r, &item);
	return 0;
}

static void read_consume_handed(struct wal_reader *r)
{
	if (r->handed)
		read_consume(r, r->handed);
	r->handed = 0;
}

/* Until there is a record or a damage. */
static int read_on(struct wal_reader *r, struct wal_damage *d)
{
	int result = 0;

	if (r->fd < 0) {
		result = read_list(r);
		if (!result)
			result = read_move(r);
	}
	while (!result && !r->held.line && !d->kind) {
		size_t len;

		read_consume_handed(r);
		result = read_line(r, &len);
		if (!result)
			result = read_step(r, len, d);
		else if (result == WAL_READ_E_END)
			result = read_end_of_file(r, d);
	}
	return result;
}

int wal_reader_next(struct wal_reader *r, struct wal_item *out)
{
	int result = 0;

	*out = (struct wal_item){ 0 };
	if (!r->held.line) {
		read_consume_handed(r);
		r->tail.kind = WAL_DAMAGE_NONE;
		result = read_on(r, &out->damage);
	}
	if (result || out->damage.kind)
		return result;
	*out = r->held;
	r->held.line = NULL;
	return 0;
}

bool wal_reader_tail(const struct wal_reader *r, struct wal_damage *out)
{
	*out = r->tail;
	return out->kind != WAL_DAMAGE_NONE;
}

uint64_t wal_reader_last(const struct wal_reader *r, uint32_t *crc)
{
	*crc = r->last_crc;
	return r->last;
}

/* --- life ----------------------------------------------------------------- */

/* Begins with the segment that the record from is in. */
static int read_begin(struct wal_reader *r)
{
	int result = read_list(r);
	uint64_t first;

	if (result < 0)
		return result;
	first = wal_listing_holds(&r->list, r->from);
	r->segment = first ? first - 1 : 0;
	read_find_next(r);
	return 0;
}

int wal_reader_new(struct wal_reader **out, const char *dir, uint64_t from)
{
	struct wal_reader *r = calloc(1, sizeof(*r));
	int result;

	if (!r)
		return -ENOMEM;
	r->fd = -1;
	r->from = from;
	r->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	result = r->dir_fd < 0 ? -errno : read_begin(r);
	if (result < 0) {
		wal_reader_free(r);
		return result;
	}
	*out = r;
	return 0;
}

void wal_reader_free(struct wal_reader *r)
{
	if (!r)
		return;
	read_close(r);
	if (r->dir_fd >= 0)
		close(r->dir_fd);
	buf_deinit(&r->in);
	wal_listing_deinit(&r->list);
	free(r);
}

void wal_item_damage(const struct wal_item *item, struct wal_damage *out)
{
	*out = (struct wal_damage){
		.kind = WAL_DAMAGE_UNREADABLE,
		.offset = item->offset,
		.len = item->len,
		.missing_first = item->seq,
		.missing_last = item->seq,
	};
	wal_segment_name(item->segment, out->file);
}
