#include "backend/run_dir.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define RUN_DIR_PATH_MAX_BYTES 4096

/* Makes one directory; whatever the umask says it gets its mode. */
static int make_dir(const char *path, mode_t mode, char *err, size_t err_size)
{
	if (mkdir(path, mode) < 0) {
		struct stat st;

		if (errno == EEXIST && stat(path, &st) == 0 &&
		    S_ISDIR(st.st_mode))
			return 0;
	} else if (chmod(path, mode) == 0) {
		return 0;
	}
	int r = -errno;
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
