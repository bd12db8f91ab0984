#include "payload/pack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "payload/inspect.h"
#include "payload/path.h"
#include "payload/read.h"
#include "payload/tar_gz.h"

#define PACK_EXCEPT_MAX 16
#define PACK_READ_BYTES (64 * 1024)

/* Which file it is, by whatever name. */
struct pack_id {
	dev_t dev;
	ino_t ino;
};

struct pack {
	struct tar_gz *tar;
	char root[PATH_MAX]; /* without links */
	char path[PATH_MAX]; /* from there, of the entry at hand */
	struct pack_id above[PAYLOAD_DEPTH_MAX + 1]; /* and itself */
	unsigned int depth;
	struct pack_id except[PACK_EXCEPT_MAX];
	size_t n_except;
	unsigned int entries;
	uint64_t bytes;
	char *err;
	size_t err_size;
};

static int pack_refuse(struct pack *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

static int pack_refuse(struct pack *p, const char *fmt, ...)
{
	char shown[PATH_SHOWN_MAX_BYTES], text[PATH_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(p->err, p->err_size, "%s: %s", path_show(p->path, shown),
		 text);
	return PAYLOAD_E_REFUSED;
}

static int pack_fail(struct pack *p, int r)
{
	char shown[PATH_SHOWN_MAX_BYTES];

	if (r == -EFBIG) {
		snprintf(p->err, p->err_size,
			 "the archive has more than %d MiB with %s",
			 PAYLOAD_MAX_BYTES / (1024 * 1024),
			 path_show(p->path, shown));
		return PAYLOAD_E_REFUSED;
	}
	snprintf(p->err, p->err_size, "%s: %s",
		 *p->path ? path_show(p->path, shown) : p->root, strerror(-r));
	return r;
}

static bool pack_is(const struct pack_id *id, const struct stat *st)
{
	return id->dev == st->st_dev && id->ino == st->st_ino;
}

/* --- a file --------------------------------------------------------------- */

static int pack_copy(struct pack *p, int fd, uint64_t size)
{
	uint8_t bytes[PACK_READ_BYTES];
	uint64_t done = 0;

	for (;;) {
		ssize_t n = read(fd, bytes, sizeof(bytes));
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return pack_fail(p, -errno);
		if ((uint64_t)n > size - done || (!n && done < size))
			return pack_refuse(p, "it changed while it was read: "
					      "try again");
		if (!n)
			return 0;
		r = tar_gz_write(p->tar, bytes, (size_t)n);
		if (r)
			return pack_fail(p, r);
		done += (uint64_t)n;
	}
}

static int pack_file(struct pack *p, int fd, const struct stat *st)
{
	uint64_t size = (uint64_t)st->st_size;
	int r;

	p->bytes += size;
	if (p->bytes > PAYLOAD_UNPACKED_MAX_BYTES)
		return pack_refuse(p, "more than %lld MiB with this file",
				   PAYLOAD_UNPACKED_MAX_BYTES / (1024 * 1024));
	r = tar_gz_add_file(p->tar, p->path, st->st_mode & 0100, size);
	return r ? pack_fail(p, r) : pack_copy(p, fd, size);
}

/* --- a directory ---------------------------------------------------------- */

static int pack_entry(struct pack *p, int dir, const char *name);

static int pack_is_name(const struct dirent *d)
{
	return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

/* Not by the rules of a language, as alphasort() does. */
static int pack_compare(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int pack_names(struct pack *p, int fd)
{
	struct dirent **names;
	int n = scandirat(fd, ".", &names, pack_is_name, pack_compare);
	int r = 0;

	if (n < 0)
		return pack_fail(p, -errno);
	for (int i = 0; i < n; i++) {
		if (!r)
			r = pack_entry(p, fd, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return r;
}

static int pack_dir(struct pack *p, int fd, const struct stat *st)
{
	int r = 0;

	for (unsigned int i = 0; i < p->depth; i++)
		if (pack_is(&p->above[i], st))
			return pack_refuse(p, "the link leads to a directory "
					      "that it is in");
	if (p->depth)
		r = tar_gz_add_dir(p->tar, p->path);
	if (r)
		return pack_fail(p, r);
	p->above[p->depth++] = (struct pack_id){ st->st_dev, st->st_ino };
	r = pack_names(p, fd);
	p->depth--;
	return r;
}

/* --- an entry ------------------------------------------------------------- */

static bool pack_is_inside(const struct pack *p, const char *target)
{
	size_t len = strlen(p->root);

	/* The root of the file system ends in a slash, no other does. */
	return !strncmp(target, p->root, len) &&
	       (p->root[len - 1] == '/' || !target[len] || target[len] == '/');
}

/* What the link leads to, if that is inside. */
static int pack_open_link(struct pack *p, int *fd)
{
	char link[2 * PATH_MAX], target[PATH_MAX];

	snprintf(link, sizeof(link), "%s/%s", p->root, p->path);
	if (!realpath(link, target))
		return pack_refuse(p, "the link leads nowhere: %s",
				   strerror(errno));
	if (!pack_is_inside(p, target))
		return pack_refuse(p,
				   "the link leads out of the directory, to %s",
				   target);
	*fd = open(target, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return *fd < 0 ? pack_fail(p, -errno) : 0;
}

/* Those that cannot be packed are not opened: opening may have effects. */
static int pack_check_type(struct pack *p, mode_t mode)
{
	if (S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode))
		return 0;
	return pack_refuse(p,
			   "it is a %s; a payload has files and directories "
			   "only",
			   S_ISFIFO(mode)   ? "FIFO"
			   : S_ISSOCK(mode) ? "socket"
					    : "device");
}

static int pack_open(struct pack *p, int dir, const char *name, int *fd)
{
	struct stat st;
	int r;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return pack_fail(p, -errno);
	r = pack_check_type(p, st.st_mode);
	if (r)
		return r;
	if (S_ISLNK(st.st_mode))
		return pack_open_link(p, fd);
	*fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return *fd < 0 ? pack_fail(p, -errno) : 0;
}

static bool pack_is_excepted(const struct pack *p, const struct stat *st)
{
	for (size_t i = 0; i < p->n_except; i++)
		if (pack_is(&p->except[i], st))
			return true;
	return false;
}

/* With p->path set to it. */
static int pack_here(struct pack *p, int dir, const char *name)
{
	_cleanup_close_ int fd = -1;
	const char *why;
	struct stat st;
	int r = pack_open(p, dir, name, &fd);

	if (r)
		return r;
	if (fstat(fd, &st) < 0)
		return pack_fail(p, -errno);
	if (pack_is_excepted(p, &st))
		return 0;
	why = path_check(p->path);
	if (why)
		return pack_refuse(p, "%s", why);
	if (++p->entries > PAYLOAD_ENTRIES_MAX)
		return pack_refuse(p,
				   "more than %d files and directories with "
				   "this one",
				   PAYLOAD_ENTRIES_MAX);
	if (S_ISDIR(st.st_mode))
		return pack_dir(p, fd, &st);
	r = pack_check_type(p, st.st_mode);
	return r ? r : pack_file(p, fd, &st);
}

static int pack_entry(struct pack *p, int dir, const char *name)
{
	size_t len = strlen(p->path);
	int r;

	/* A path that fitted in has room for a name: path_check(). */
	snprintf(p->path + len, sizeof(p->path) - len, "%s%s", len ? "/" : "",
		 name);
	r = pack_here(p, dir, name);
	p->path[len] = '\0';
	return r;
}

/* --- the whole ------------------------------------------------------------ */

static int pack_note_except(struct pack *p, const char *const *except)
{
	struct stat st;

	for (; except && *except; except++) {
		if (stat(*except, &st) < 0 || !S_ISREG(st.st_mode))
			continue;
		if (p->n_except == PACK_EXCEPT_MAX)
			return -E2BIG;
		p->except[p->n_except++] = (struct pack_id){ st.st_dev,
							     st.st_ino };
	}
	return 0;
}

static int pack_tree(struct pack *p, const char *dir)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	snprintf(p->root, sizeof(p->root), "%s", dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !realpath(dir, p->root))
		return pack_fail(p, -errno);
	r = pack_dir(p, fd, &st);
	if (r)
		return r;
	r = tar_gz_finish(p->tar);
	return r ? pack_fail(p, r) : 0;
}

/* As whoever gets it will: what is packed can be run. */
static int pack_check(struct pack *p, const uint8_t *data, size_t len)
{
	_cleanup_(buf_deinit) struct buf why = { 0 };
	struct payload_info info;
	int r = payload_inspect(data, len, &info, &why);

	if (!r)
		payload_info_deinit(&info);
	else if (r < 0)
		return pack_fail(p, r);
	else
		snprintf(p->err, p->err_size, "%.*s", (int)why.len,
			 (const char *)why.data);
	return r;
}

static int pack_all(struct pack *p, const char *dir, struct buf *out)
{
	_cleanup_(tar_gz_freep) struct tar_gz *tar = NULL;
	size_t before = out->len;
	int r = tar_gz_new(&tar, out, before + PAYLOAD_MAX_BYTES);

	if (r)
		return pack_fail(p, r);
	p->tar = tar;
	r = pack_tree(p, dir);
	if (!r)
		r = pack_check(p, out->data + before, out->len - before);
	if (r)
		out->len = before;
	return r;
}

int payload_pack_except(const char *dir, const char *const *except,
			struct buf *out, char *err, size_t err_size)
{
	_cleanup_free_ struct pack *p = calloc(1, sizeof(*p));
	int r;

	if (!p) {
		snprintf(err, err_size, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	p->err = err;
	p->err_size = err_size;
	r = pack_note_except(p, except);
	return r ? pack_fail(p, r) : pack_all(p, dir, out);
}

int payload_pack(const char *dir, struct buf *out, char *err, size_t err_size)
{
	return payload_pack_except(dir, NULL, out, err, err_size);
}
