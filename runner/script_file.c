#include "runner/script_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>

#include "common/file.h"

static int script_file_create(const struct assignment *a, const void *data,
			      size_t len)
{
	_cleanup_close_ int dir = -1, fd = -1;

	dir = open(a->work_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	fd = openat(dir, a->script_name,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	return file_write_all(fd, data, len);
}

int script_file_write(const struct assignment *a, const void *data, size_t len,
		      char *err, size_t err_size)
{
	int r;

	/* The runner has neither CHOWN nor DAC_OVERRIDE: the file is made with
	 * the user's own rights. */
	if (a->uid >= 0) {
		setfsgid((gid_t)a->gid);
		setfsuid((uid_t)a->uid);
	}
	r = script_file_create(a, data, len);
	if (a->uid >= 0) {
		setfsuid(geteuid());
		setfsgid(getegid());
	}
	if (r < 0)
		snprintf(err, err_size, "cannot write %s into %s: %s",
			 a->script_name, a->work_dir, strerror(-r));
	return r;
}
