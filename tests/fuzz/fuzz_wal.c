/*
 * A write-ahead log from arbitrary bytes: every byte of it comes out as a
 * record or as damage, once, in order, and so it does when the files grow
 * piece by piece.
 *
 * Input: a byte of flags (1: lines that look like records get the right CRC,
 * 2: the last file grows), then the files, 0xff between them.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/file.h"
#include "common/wal/read.h"
#include "common/wal/record.h"
#include "common/wal/replay.h"

#define FILES_MAX 4
/* The numbers of the files: close together, so that records can be set aside,
 * and be missing. */
#define FILE_FIRST(i) (1 + 2 * (uint64_t)(i))
#define LINE_MIN_BYTES 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static char dir[64];

static void make_dir(void)
{
	snprintf(dir, sizeof(dir), "/dev/shm/fuzz_wal.XXXXXX");
	assert(mkdtemp(dir));
}

static void file_path(size_t i, char *path, size_t size)
{
	char name[WAL_SEGMENT_NAME_BYTES];

	wal_segment_name(FILE_FIRST(i), name);
	snprintf(path, size, "%s/%s", dir, name);
}

static void put(size_t i, const void *data, size_t len, int flags)
{
	char path[128];
	int fd;

	file_path(i, path, sizeof(path));
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
	assert(fd >= 0);
	assert(!file_write_all(fd, data, len));
	close(fd);
}

static void remove_files(void)
{
	char path[128];

	for (size_t i = 0; i < FILES_MAX; i++) {
		file_path(i, path, sizeof(path));
		unlink(path);
	}
}

/* The line as it is, or with the CRC that it should have. */
static void add_line(struct buf *out, const char *line, size_t len)
{
	static const char begin[] = "{\"seq\":";
	unsigned long long seq;
	char number[24] = "";

	if (len < LINE_MIN_BYTES || memcmp(line, begin, 7) ||
	    !memchr(line, ',', len - 22)) {
		assert(!buf_append(out, line, len));
		return;
	}
	memcpy(number, line + 7, 20);
	seq = strtoull(number, NULL, 10);
	if (line[len - 1] != '\n') {
		assert(!buf_append(out, line, len));
		return;
	}
	assert(!wal_record_renumber(out, line, len, seq, NULL));
}

static void mend(struct buf *out, const uint8_t *data, size_t len)
{
	while (len) {
		const uint8_t *lf = memchr(data, '\n', len);
		size_t n = lf ? (size_t)(lf - data) + 1 : len;

		add_line(out, (const char *)data, n);
		data += n;
		len -= n;
	}
}

/* --- what a reader says --------------------------------------------------- */

struct account {
	uint64_t file, offset; /* where the next thing has to begin */
	uint64_t last;         /* number */
	uint64_t records;
};

static void next_file(struct account *a, uint64_t file)
{
	if (file == a->file)
		return;
	assert(file > a->file);
	a->file = file;
	a->offset = 0;
}

static void account_damage(struct account *a, const struct wal_damage *d)
{
	char text[256];

	wal_damage_text(d, text, sizeof(text));
	next_file(a, strtoull(d->file, NULL, 10));
	assert(d->offset == a->offset);
	a->offset += d->len;
	assert(d->missing_first <= d->missing_last);
}

static void account_record(struct account *a, const struct wal_item *item,
			   struct wal_replay *replay)
{
	struct wal_record record;

	next_file(a, item->segment);
	assert(item->offset == a->offset);
	a->offset += item->len + 1;
	assert(item->seq > a->last);
	a->last = item->seq;
	a->records++;
	if (wal_record_decode(item->line, item->len, &record))
		return;
	assert(!wal_replay_record(replay, &record));
	wal_record_deinit(&record);
}

static void account_all(struct account *a, struct wal_reader *reader,
			struct wal_replay *replay)
{
	struct wal_item item;
	int r;

	while (!(r = wal_reader_next(reader, &item))) {
		if (item.damage.kind)
			account_damage(a, &item.damage);
		else
			account_record(a, &item, replay);
	}
	assert(r == WAL_READ_E_END);
}

/* The last file grows by a piece each time. Whether a file is followed by
 * another is known from the start, so that nothing has to be taken back. */
static void check(const struct buf *files, size_t n, bool grow)
{
	const struct buf *last = &files[n - 1];
	size_t piece = grow ? last->len / 3 + 1 : last->len;
	struct account a = { 0 };
	struct wal_reader *reader;
	struct wal_replay *replay;
	struct wal_damage tail;
	size_t at = 0;

	for (size_t i = 0; i + 1 < n; i++)
		put(i, files[i].data, files[i].len, O_TRUNC);
	put(n - 1, "", 0, O_TRUNC);
	assert(!wal_replay_new(&replay));
	assert(!wal_reader_new(&reader, dir, 0));
	do {
		size_t part = MIN(piece, last->len - at);

		put(n - 1, last->data + at, part, O_APPEND);
		at += part;
		account_all(&a, reader, replay);
	} while (at < last->len);
	if (wal_reader_tail(reader, &tail))
		account_damage(&a, &tail);
	if (last->len)
		next_file(&a, FILE_FIRST(n - 1));
	assert(!last->len || a.offset == last->len);
	for (const struct wal_execution *e = wal_replay_next(replay, NULL); e;
	     e = wal_replay_next(replay, e))
		assert(*e->execution);
	wal_reader_free(reader);
	wal_replay_free(replay);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buf files[FILES_MAX] = { 0 };
	size_t n = 0;
	uint8_t flags;

	if (!len)
		return 0;
	if (!*dir)
		make_dir();
	flags = *data++;
	len--;
	for (; n < FILES_MAX; n++) {
		const uint8_t *end = len ? memchr(data, 0xff, len) : NULL;
		size_t part = end && n + 1 < FILES_MAX ? (size_t)(end - data)
						       : len;

		assert(!buf_reserve(&files[n], 1));
		if (flags & 1)
			mend(&files[n], data, part);
		else
			assert(!buf_append(&files[n], data, part));
		data += part;
		len -= part;
		if (!len) {
			n++;
			break;
		}
		data++;
		len--;
	}
	check(files, n, flags & 2);
	remove_files();
	for (size_t i = 0; i < FILES_MAX; i++)
		buf_deinit(&files[i]);
	return 0;
}
