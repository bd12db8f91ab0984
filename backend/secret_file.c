#include "backend/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"

static int secret_file_check(int fd, const char *path, char *err,
			     size_t err_size)
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		int r = -errno;

		snprintf(err, err_size, "cannot read %s: %s", path,
			 strerror(-r));
		return r;
	}
	if (!S_ISREG(st.st_mode)) {
		snprintf(err, err_size, "%s is not a regular file", path);
		return -EINVAL;
	}
	if (st.st_mode & 077) {
		snprintf(err, err_size,
			 "%s can be read by others (its mode is %04o); "
			 "run: chmod 600 %s",
			 path, (unsigned int)(st.st_mode & 07777), path);
		return -EPERM;
	}
	if (st.st_size > SECRET_FILE_MAX_BYTES) {
		snprintf(err, err_size, "%s has more than %d bytes", path,
			 SECRET_FILE_MAX_BYTES);
		return -EFBIG;
	}
	return 0;
}

int secret_file_read(const char *dir, const char *name, struct buf *out,
		     char *err, size_t err_size)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	snprintf(err, err_size, "out of memory");
	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return -ENOMEM;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		r = -errno;
		snprintf(err, err_size, "cannot read %s: %s", path,
			 strerror(-r));
		return r;
	}
	r = secret_file_check(fd, path, err, err_size);
	if (r < 0)
		return r;
	r = file_read_all(fd, SECRET_FILE_MAX_BYTES, out);
	if (r < 0)
		snprintf(err, err_size, "cannot read %s: %s", path,
			 strerror(-r));
	return r;
}

static int secret_file_write(const char *path, const void *data, size_t len)
{
	_cleanup_close_ int fd = -1;
	int r;

	/* A left-over of a start that was interrupted. */
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = file_write_all(fd, data, len);
	return !r && fsync(fd) < 0 ? -errno : r;
}

static int secret_file_sync_dir(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* Makes the directory of path, and its entry in dir durable. */
static int secret_file_make_dir(const char *dir, const char *parent)
{
	if (!strcmp(dir, parent))
		return 0;
	if (mkdir(parent, 0700) < 0 && errno != EEXIST)
		return -errno;
	return secret_file_sync_dir(dir);
}

static int secret_file_install(const char *dir, const char *path,
			       const void *data, size_t len)
{
	_cleanup_free_ char *copy = strdup(path), *tmp = NULL;
	const char *parent;
	int r;

	if (!copy || asprintf(&tmp, "%s.tmp", path) < 0)
		return -ENOMEM;
	parent = dirname(copy);
	r = secret_file_make_dir(dir, parent);
	if (r < 0)
		return r;
	r = secret_file_write(tmp, data, len);
	/* renameat2() would need kernel support of the file system; link()
	 * refuses to replace what is there just as well. */
	if (r == 0 && link(tmp, path) < 0)
		r = -errno;
	unlink(tmp);
	return r < 0 ? r : secret_file_sync_dir(parent);
}

int secret_file_create(const char *dir, const char *name, const void *data,
		       size_t len, char *err, size_t err_size)
{
	_cleanup_free_ char *path = NULL;
	int r = -ENOMEM;

	if (asprintf(&path, "%s/%s", dir, name) >= 0)
		r = secret_file_install(dir, path, data, len);
	if (r < 0)
		snprintf(err, err_size, "cannot make %s: %s",
			 path ? path : name, strerror(-r));
	return r;
}
