#include "runner/work_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "runner/remove_tree.h"

#define WORK_DIR_TRIES 16 /* a sweeper may take a new one before its lock */
#define WORK_DIR_SWEEP_MAX 1000 /* removed at once */

/* 0 when nobody held the lock and it is still there under its name. */
static int work_dir_lock(const char *path, int *out)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid())
		return -EPERM;
	if (!st.st_nlink)
		return -ENOENT;
	*out = fd;
	fd = -1;
	return 0;
}

static void work_dir_sweep_one(const char *base, int base_fd, const char *name)
{
	char path[PATH_MAX];
	int fd, n;

	n = snprintf(path, sizeof(path), "%s/%s", base, name);
	if (n < 0 || (size_t)n >= sizeof(path))
		return;
	if (work_dir_lock(path, &fd) < 0)
		return;
	/* What cannot be removed now is tried again by the next runner. */
	remove_tree(base_fd, name);
	close(fd);
}

static void work_dir_sweep(const char *base)
{
	DIR *dir = opendir(base);
	struct dirent *e;
	int n = 0;

	while (dir && n < WORK_DIR_SWEEP_MAX && (e = readdir(dir))) {
		if (strncmp(e->d_name, WORK_DIR_PREFIX,
			    strlen(WORK_DIR_PREFIX)))
			continue;
		work_dir_sweep_one(base, dirfd(dir), e->d_name);
		n++;
	}
	if (dir)
		closedir(dir);
}

static int work_dir_try(struct work_dir *w, const char *base)
{
	int r = 0, n;

	for (int i = 0; i < WORK_DIR_TRIES; i++) {
		n = snprintf(w->path, sizeof(w->path),
			     "%s/" WORK_DIR_PREFIX "XXXXXX", base);
		if (n < 0 || (size_t)n >= sizeof(w->path) - sizeof("/work"))
			return -ENAMETOOLONG;
		if (!mkdtemp(w->path))
			return -errno;
		r = work_dir_lock(w->path, &w->lock_fd);
		if (!r)
			break;
		if (r != -EWOULDBLOCK && r != -ENOENT)
			return r;
	}
	if (r < 0)
		return r;
	memcpy(w->work, w->path, sizeof(w->work) - sizeof("/work"));
	strcat(w->work, "/work");
	return mkdir(w->work, 0700) < 0 ? -errno : 0;
}

/* Whether a directory of this name, which must be absolute, can be used. */
static bool work_dir_is_base(const char *base)
{
	struct stat st;

	return base && base[0] == '/' && !stat(base, &st) &&
	       S_ISDIR(st.st_mode) && !access(base, W_OK | X_OK);
}

int work_dir_make(struct work_dir *w, char *err, size_t err_size)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	int r;

	if (!work_dir_is_base(base))
		base = getenv("TMPDIR");
	if (!work_dir_is_base(base))
		base = "/tmp";
	*w = (struct work_dir){ .lock_fd = -1 };
	work_dir_sweep(base);
	r = work_dir_try(w, base);
	if (!r)
		return 0;
	snprintf(err, err_size,
		 "cannot make a work directory in %s: %s: see that it can be "
		 "written, or set TMPDIR to one that can",
		 base, strerror(-r));
	if (w->lock_fd < 0)
		w->path[0] = '\0';
	else
		(void)work_dir_remove(w);
	return r;
}

int work_dir_remove(struct work_dir *w)
{
	int r = 0;

	if (w->path[0])
		r = remove_tree(AT_FDCWD, w->path);
	w->path[0] = '\0';
	work_dir_deinit(w);
	return r;
}

void work_dir_deinit(struct work_dir *w)
{
	closep(&w->lock_fd);
	w->lock_fd = -1;
}
