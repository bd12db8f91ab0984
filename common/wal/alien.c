#include "common/wal/alien.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/wal/dir.h"

enum wal_alien_kind wal_alien_judge(const char *name, const struct stat *st)
{
	uint64_t first = 0;
	bool segment = wal_segment_parse(name, &first);

	if (!segment && strcmp(name, WAL_LOCK_NAME) != 0 &&
	    strcmp(name, WAL_NEW_NAME) != 0)
		return WAL_ALIEN_NAME;
	if (!S_ISREG(st->st_mode))
		return WAL_ALIEN_TYPE;
	if (segment && (!first || first > WAL_SEQ_MAX))
		return WAL_ALIEN_NUMBER;
	if (segment && st->st_size > (off_t)WAL_SEGMENT_MAX_BYTES)
		return WAL_ALIEN_SIZE;
	return WAL_ALIEN_NONE;
}

bool wal_alien_blocks(const struct wal_alien *a)
{
	return a->kind > WAL_ALIEN_NAME;
}

static const char *alien_type(mode_t mode)
{
	if (S_ISDIR(mode))
		return "a directory";
	if (S_ISFIFO(mode))
		return "a pipe";
	if (S_ISLNK(mode))
		return "a symbolic link";
	if (S_ISSOCK(mode))
		return "a socket";
	return "a device";
}

void wal_alien_text(const struct wal_alien *a, char *out, size_t size)
{
	if (a->kind == WAL_ALIEN_TYPE)
		snprintf(out, size, "%s is %s, not a file", a->name,
			 alien_type(a->mode));
	else if (a->kind == WAL_ALIEN_NUMBER)
		snprintf(out, size, "%s: no log has come to that number",
			 a->name);
	else if (a->kind == WAL_ALIEN_SIZE)
		snprintf(out, size, "%s has %llu bytes, a segment at most %llu",
			 a->name, (unsigned long long)a->bytes,
			 (unsigned long long)WAL_SEGMENT_MAX_BYTES);
	else
		snprintf(out, size, "%s is no file of the log, and left alone",
			 a->name);
}

struct alien_walk {
	void (*on_alien)(const struct wal_alien *a, void *ctx);
	void *ctx;
};

static int alien_look_at(const char *name, const struct stat *st, void *ctx)
{
	const struct alien_walk *w = ctx;
	struct wal_alien a = {
		.kind = wal_alien_judge(name, st),
		.mode = st->st_mode,
		.bytes = (uint64_t)st->st_size,
	};

	if (a.kind == WAL_ALIEN_NONE)
		return 0;
	for (size_t i = 0; name[i] && i < NAME_MAX; i++)
		a.name[i] = name[i] > ' ' && name[i] <= '~' ? name[i] : '?';
	w->on_alien(&a, w->ctx);
	return 0;
}

int wal_alien_each(int dir_fd,
		   void (*on_alien)(const struct wal_alien *a, void *ctx),
		   void *ctx)
{
	struct alien_walk w = { on_alien, ctx };

	return wal_dir_walk(dir_fd, alien_look_at, &w);
}
