#include "orchestrator/install.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

static int install_copy(int from, int dir_fd, const char *name)
{
	_cleanup_close_ int to = openat(dir_fd, name,
					O_WRONLY | O_CREAT | O_TRUNC |
						O_CLOEXEC | O_NOFOLLOW,
					0755);
	struct stat st;
	off_t at = 0;

	if (to < 0 || fstat(from, &st) < 0)
		return -errno;
	while (at < st.st_size)
		if (sendfile(to, from, &at, (size_t)(st.st_size - at)) <= 0)
			return errno ? -errno : -EIO;
	return fchmod(to, 0755) < 0 ? -errno : 0;
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
	r = install_copy(from_fd, dir_fd, temporary);
	if (r == 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dir_fd, temporary, 0);
	return r;
}
