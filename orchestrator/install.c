#include "orchestrator/install.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

static int install_copy(int from, int dir_fd, const char *name, mode_t mode)
{
	_cleanup_close_ int to = openat(dir_fd, name,
					O_WRONLY | O_CREAT | O_TRUNC |
						O_CLOEXEC | O_NOFOLLOW,
					mode);
	struct stat st;
	off_t at = 0;

	if (to < 0 || fstat(from, &st) < 0)
		return -errno;
	while (at < st.st_size)
		if (sendfile(to, from, &at, (size_t)(st.st_size - at)) <= 0)
			return errno ? -errno : -EIO;
	return fchmod(to, mode) < 0 ? -errno : 0;
}

int install_binary(const char *run_dir, const char *dir, const char *name,
		   const char *from)
{
	_cleanup_close_ int from_fd = open(from, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int dir_fd = -1;
	_cleanup_free_ char *path = NULL;
	char temporary[64];
	int r;

	if (from_fd < 0)
		return -errno;
	if (asprintf(&path, "%s/%s", run_dir, dir) < 0)
		return -ENOMEM;
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	dir_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return -errno;
	snprintf(temporary, sizeof(temporary), ".%s.%d", name, (int)getpid());
	r = install_copy(from_fd, dir_fd, temporary, 0755);
	if (r == 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dir_fd, temporary, 0);
	return r;
}

/* One entry of the tree that fts found; root is RUN/dir. */
static int install_entry(const char *root, size_t from_len, const FTSENT *found)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int from = -1;

	if (asprintf(&path, "%s%s", root, found->fts_path + from_len) < 0)
		return -ENOMEM;
	if (found->fts_info == FTS_D)
		return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
	if (found->fts_info != FTS_F)
		return 0;
	from = open(found->fts_accpath, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (from < 0)
		return -errno;
	return install_copy(from, AT_FDCWD, path, 0644);
}

int install_tree(const char *run_dir, const char *dir, const char *from)
{
	char *const roots[] = { (char *)from, NULL };
	_cleanup_free_ char *root = NULL;
	FTS *fts;
	FTSENT *found;
	int r = 0;

	if (asprintf(&root, "%s/%s", run_dir, dir) < 0)
		return -ENOMEM;
	fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	if (!fts)
		return -errno;
	while (r == 0 && (found = fts_read(fts)))
		r = install_entry(root, strlen(from), found);
	fts_close(fts);
	return r;
}
