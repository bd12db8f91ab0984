#include "backend/run_dir.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUN_DIR_PATH_MAX_BYTES 4096

/* A directory that somebody else may write to could hold their sockets in
 * place of ours. */
static int check_dir(const char *path, char *err, size_t err_size)
{
	struct stat st;

	if (lstat(path, &st) < 0) {
		snprintf(err, err_size, "cannot look at %s: %s", path,
			 strerror(errno));
		return -errno;
	}
	if (S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	    !(st.st_mode & (S_IWGRP | S_IWOTH)))
		return 0;
	snprintf(err, err_size,
		 "%s is no directory that only user %d may write to; choose "
		 "another --run-dir, or mend its owner and mode (0700)",
		 path, (int)geteuid());
	return -EPERM;
}

/* Makes one directory; whatever the umask says it gets its mode. */
static int make_dir(const char *path, mode_t mode, char *err, size_t err_size)
{
	int r;

	if (mkdir(path, mode) == 0 && chmod(path, mode) == 0)
		return 0;
	if (errno == EEXIST)
		return check_dir(path, err, err_size);
	r = -errno;
	snprintf(err, err_size, "cannot make the directory %s: %s", path,
		 strerror(-r));
	return r;
}

int run_dir_make(const char *dir, char *err, size_t err_size)
{
	char path[RUN_DIR_PATH_MAX_BYTES];
	int r = make_dir(dir, 0700, err, err_size);

	if (r)
		return r;
	snprintf(path, sizeof(path), "%s/" RUN_DIR_RUNTIME, dir);
	return make_dir(path, 0755, err, err_size);
}
