#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"

#define FILE_READ_BYTES 65536

int file_read_all(int fd, size_t max, struct buf *out)
{
	size_t before = out->len;
	int r = buf_reserve(out, FILE_READ_BYTES);

	while (!r) {
		ssize_t n = read(fd, out->data + out->len, out->cap - out->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		out->len += (size_t)n;
		if (out->len - before > max)
			return -EFBIG;
		/* Not before it is full: to grow leaves a copy behind, and what
		 * is read may be a key. */
		r = buf_reserve(out, 1);
	}
	return r;
}

int file_write_all(int fd, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int file_make_dirs(const char *dir, mode_t mode)
{
	char part[PATH_MAX];

	for (const char *p = dir; *p;) {
		p += strspn(p, "/");
		p += strcspn(p, "/");
		if ((size_t)(p - dir) >= sizeof(part))
			return -ENAMETOOLONG;
		snprintf(part, sizeof(part), "%.*s", (int)(p - dir), dir);
		if (mkdir(part, mode) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

static int file_fill(int fd, const void *data, size_t len, mode_t mode)
{
	int r = file_write_all(fd, data, len);

	if (r < 0)
		return r;
	return fchmod(fd, mode) < 0 || fsync(fd) < 0 ? -errno : 0;
}

int file_replace(const char *path, const void *data, size_t len, mode_t mode)
{
	char temporary[PATH_MAX];
	int fd, r = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);

	if (r < 0 || (size_t)r >= sizeof(temporary))
		return -ENAMETOOLONG;
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = file_fill(fd, data, len, mode);
	close(fd);
	if (!r && rename(temporary, path) < 0)
		r = -errno;
	if (r < 0)
		unlink(temporary);
	return r;
}
