#include "payload/extract.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "payload/read.h"

struct extract {
	const struct payload_extract_options *o;
	int dir; /* the last one that was opened; -1: none */
	char dir_path[PAYLOAD_PATH_MAX_BYTES + 1];
	int file; /* being written, or -1 */
};

static void extract_close(int *fd)
{
	closep(fd);
	*fd = -1;
}

static void extract_deinit(struct extract *x)
{
	extract_close(&x->dir);
	extract_close(&x->file);
}

/* Those who may read a thing, as those who may execute it. */
static mode_t extract_execute_bits(mode_t mode)
{
	return (mode & 0444) >> 2;
}

/* The mode first: who is not the owner any more may not change it. */
static int extract_own(const struct extract *x, int fd, mode_t mode)
{
	const uid_t uid = x->o->uid;
	const gid_t gid = x->o->gid;

	if (fchmod(fd, mode) < 0)
		return -errno;
	if ((uid != (uid_t)-1 || gid != (gid_t)-1) && fchown(fd, uid, gid) < 0)
		return -errno;
	return 0;
}

/* --- directories ---------------------------------------------------------- */

/* Opens one below fd, no link; makes it where it is not there. */
static int extract_step(const struct extract *x, int fd, const char *name)
{
	mode_t readers = x->o->file_mode & 0044;
	mode_t mode = 0700 | readers | extract_execute_bits(readers);
	bool made = mkdirat(fd, name, 0700) == 0;
	int next, r;

	if (!made && errno != EEXIST)
		return -errno;
	next = openat(fd, name,
		      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (next < 0)
		return -errno;
	r = made ? extract_own(x, next, mode) : 0;
	if (r < 0) {
		close(next);
		return r;
	}
	return next;
}

/*
 * Opens the directory in x->dir, a component at a time: each is looked up in
 * the one before it, by itself, so that neither a link nor ".." can lead
 * elsewhere. This needs no openat2(), which older kernels and some containers
 * do not have.
 */
static int extract_open_dir(struct extract *x, const char *path)
{
	char copy[PAYLOAD_PATH_MAX_BYTES + 1];
	char *rest = copy, *name;
	int fd = -1;

	if (x->dir >= 0 && !strcmp(x->dir_path, path))
		return 0;
	extract_close(&x->dir);
	strcpy(copy, path);
	while ((name = strsep(&rest, "/"))) {
		int next = extract_step(x, fd < 0 ? x->o->dir_fd : fd, name);

		extract_close(&fd);
		if (next < 0)
			return next;
		fd = next;
	}
	x->dir = fd;
	strcpy(x->dir_path, path);
	return 0;
}

/* --- files ---------------------------------------------------------------- */

static int extract_create(struct extract *x, int dir, const char *name,
			  bool executable)
{
	mode_t mode = x->o->file_mode;

	if (executable)
		mode |= extract_execute_bits(mode);
	x->file = openat(dir, name,
			 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			 0600);
	if (x->file < 0)
		return -errno;
	return extract_own(x, x->file, mode);
}

static int extract_on_entry(const struct payload_entry *e, void *ctx)
{
	char parent[PAYLOAD_PATH_MAX_BYTES + 1];
	struct extract *x = ctx;
	char *slash;
	int r;

	if (e->directory)
		return extract_open_dir(x, e->path);
	strcpy(parent, e->path);
	slash = strrchr(parent, '/');
	if (!slash)
		return extract_create(x, x->o->dir_fd, e->path, e->executable);
	*slash = '\0';
	r = extract_open_dir(x, parent);
	if (r < 0)
		return r;
	return extract_create(x, x->dir, slash + 1, e->executable);
}

static int extract_on_data(const void *data, size_t len, void *ctx)
{
	struct extract *x = ctx;

	return file_write_all(x->file, data, len);
}

static int extract_on_end(const struct payload_entry *e, void *ctx)
{
	struct extract *x = ctx;
	int fd = x->file;

	x->file = -1;
	return fd >= 0 && close(fd) < 0 ? -errno : 0;
}

int payload_extract(const void *data, size_t len,
		    const struct payload_extract_options *options, char *err,
		    size_t err_size)
{
	static const struct payload_sink look = { 0 }, sink = {
		.on_entry = extract_on_entry,
		.on_data = extract_on_data,
		.on_end = extract_on_end,
	};
	_cleanup_(extract_deinit) struct extract x = {
		.o = options,
		.dir = -1,
		.file = -1,
	};
	int r = payload_read(data, len, &look, NULL, err, err_size);

	return r ? r : payload_read(data, len, &sink, &x, err, err_size);
}
