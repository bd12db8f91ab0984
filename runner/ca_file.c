#include "runner/ca_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CA_FILE_BEGIN "-----BEGIN CERTIFICATE-----"
#define CA_FILE_TRUSTED "-----BEGIN TRUSTED CERTIFICATE-----"
#define CA_FILE_KEY "PRIVATE KEY-----"
#define CA_FILE_LINK_BYTES 32

static bool ca_file_has(const char *text, size_t len, const char *what)
{
	return memmem(text, len, what, strlen(what));
}

static int ca_file_judge(const char *text, size_t len)
{
	bool certificate = ca_file_has(text, len, CA_FILE_BEGIN) ||
			   ca_file_has(text, len, CA_FILE_TRUSTED);

	return certificate && !ca_file_has(text, len, CA_FILE_KEY) ? 0
								   : -EINVAL;
}

/* The file itself is read, whatever has its name by now. */
static int ca_file_check(int path_fd, size_t len)
{
	char link[CA_FILE_LINK_BYTES];
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = malloc(len);
	size_t n = 0;
	ssize_t got = 1;

	if (!text)
		return -ENOMEM;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
	fd = open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	while (n < len && got > 0) {
		got = read(fd, text + n, len - n);
		if (got < 0)
			return -errno;
		n += (size_t)got;
	}
	return ca_file_judge(text, n);
}

int ca_file_open(const char *path)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	if (*path != '/')
		return -EINVAL;
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || !st.st_size)
		return -EINVAL;
	if (st.st_size > CA_FILE_MAX_BYTES)
		return -EFBIG;
	r = ca_file_check(fd, (size_t)st.st_size);
	if (r < 0)
		return r;
	r = fd;
	fd = -1;
	return r;
}
