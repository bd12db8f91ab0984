#include "common/wal/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/json.h"
#include "common/wal/alien.h"
#include "common/wal/record.h"

#define DIR_DIGITS 20
#define DIR_SUFFIX ".wal"

/* --- names and the list of them ------------------------------------------- */

DEFINE_CLEANUP(DIR *, closedir)

void wal_segment_name(uint64_t first, char out[WAL_SEGMENT_NAME_BYTES])
{
	snprintf(out, WAL_SEGMENT_NAME_BYTES, "%0*llu" DIR_SUFFIX, DIR_DIGITS,
		 (unsigned long long)first);
}

bool wal_segment_parse(const char *name, uint64_t *first)
{
	char again[WAL_SEGMENT_NAME_BYTES];

	if (strspn(name, "0123456789") != DIR_DIGITS)
		return false;
	errno = 0;
	*first = strtoull(name, NULL, 10);
	wal_segment_name(*first, again);
	return !errno && !strcmp(name, again);
}

struct dir_list {
	struct wal_segment *segments;
	size_t n, cap;
};

static int dir_add(struct dir_list *l, const struct wal_segment *s)
{
	if (l->n == WAL_SEGMENTS_MAX)
		return -E2BIG;
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 32;
		void *more = realloc(l->segments, cap * sizeof(*s));

		if (!more)
			return -ENOMEM;
		l->segments = more;
		l->cap = cap;
	}
	l->segments[l->n++] = *s;
	return 0;
}

static int dir_look_at(const char *name, const struct stat *st, void *ctx)
{
	struct wal_segment s = { 0 };

	if (!wal_segment_parse(name, &s.first) ||
	    wal_alien_judge(name, st) != WAL_ALIEN_NONE)
		return 0;
	s.bytes = (uint64_t)st->st_size;
	s.mtime_ms = (int64_t)st->st_mtim.tv_sec * 1000 +
		     st->st_mtim.tv_nsec / 1000000;
	return dir_add(ctx, &s);
}

static int dir_compare(const void *a, const void *b)
{
	const struct wal_segment *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* 1: that was the last one. */
static int dir_next(DIR *d, const char **name, struct stat *st)
{
	for (;;) {
		const struct dirent *e;

		errno = 0;
		e = readdir(d);
		if (!e)
			return errno ? -errno : 1;
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		*name = e->d_name;
		if (!fstatat(dirfd(d), e->d_name, st, AT_SYMLINK_NOFOLLOW))
			return 0;
		if (errno != ENOENT)
			return -errno;
	}
}

int wal_dir_walk(int dir_fd,
		 int (*on_entry)(const char *name, const struct stat *st,
				 void *ctx),
		 void *ctx)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(closedirp) DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const char *name;
	struct stat st;
	int r = d ? 0 : -errno;

	if (!d && fd >= 0)
		close(fd);
	while (!r && !(r = dir_next(d, &name, &st)))
		r = on_entry(name, &st, ctx);
	return MIN(r, 0);
}

int wal_dir_list(int dir_fd, struct wal_segment **out, size_t *n)
{
	struct dir_list l = { 0 };
	int r = wal_dir_walk(dir_fd, dir_look_at, &l);

	if (r < 0) {
		free(l.segments);
		return r;
	}
	if (l.n)
		qsort(l.segments, l.n, sizeof(*l.segments), dir_compare);
	*out = l.segments;
	*n = l.n;
	return 0;
}

/* --- the first record of a segment ---------------------------------------- */

static ssize_t dir_read_first(int dir_fd, const char *name, char *line)
{
	_cleanup_close_ int fd = openat(
		dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n;

	if (fd < 0)
		return -errno;
	do {
		n = pread(fd, line, WAL_RECORD_MAX_BYTES, 0);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* *needed: see wal_dir_needed(). 0, -EBADMSG where it is no such record, or
 * -ENOMEM. */
static int dir_decode_first(const char *line, size_t len, uint64_t *needed)
{
	struct wal_record record;
	uint64_t seq;
	uint32_t crc;
	int r;

	if (!wal_record_check(line, len, &seq, &crc))
		return -EBADMSG;
	r = wal_record_decode(line, len, &record);
	if (r < 0)
		return r;
	if (record.type == WAL_SEGMENT)
		*needed = (uint64_t)json_get_int(record.data, "needed", 0);
	else
		r = -EBADMSG;
	wal_record_deinit(&record);
	return r;
}

static int dir_read_needed(int dir_fd, uint64_t first, uint64_t *needed)
{
	_cleanup_free_ char *line = malloc(WAL_RECORD_MAX_BYTES);
	char name[WAL_SEGMENT_NAME_BYTES];
	const char *lf;
	ssize_t n;

	if (!line)
		return -ENOMEM;
	wal_segment_name(first, name);
	n = dir_read_first(dir_fd, name, line);
	if (n < 0)
		return (int)n;
	lf = n ? memchr(line, '\n', (size_t)n) : NULL;
	return lf ? dir_decode_first(line, (size_t)(lf - line), needed)
		  : -EBADMSG;
}

int wal_dir_needed(int dir_fd, uint64_t *out)
{
	_cleanup_free_ struct wal_segment *segments = NULL;
	size_t n;
	int r = wal_dir_list(dir_fd, &segments, &n);

	*out = 0;
	if (r < 0)
		return r;
	for (size_t i = n; i > 0; i--) {
		r = dir_read_needed(dir_fd, segments[i - 1].first, out);
		if (r != -EBADMSG && r != -ENOENT)
			return r;
	}
	return 0;
}
