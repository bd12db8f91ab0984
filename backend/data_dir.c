#include "backend/data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file_lock.h"

#define DATA_DIR_PID_MAX_BYTES 32

struct data_dir {
	char *path;
	int lock;
};

void data_dir_close(struct data_dir *d)
{
	if (!d)
		return;
	/* The file stays: removing it would race with the next backend. */
	closep(&d->lock);
	free(d->path);
	free(d);
}
DEFINE_CLEANUP(struct data_dir *, data_dir_close)

const char *data_dir_path(const struct data_dir *d)
{
	return d->path;
}

/* Makes one directory, and its entry in its parent durable. */
static int data_dir_make_one(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	_cleanup_close_ int parent = -1;

	if (!copy)
		return -ENOMEM;
	if (mkdir(path, 0700) < 0)
		return errno == EEXIST ? 0 : -errno;
	parent = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return parent < 0 || fsync(parent) < 0 ? -errno : 0;
}

/* mkdir -p, each 0700. */
static int data_dir_make(const char *path, char *err, size_t err_size)
{
	_cleanup_free_ char *copy = strdup(path);
	struct stat st;

	if (!copy)
		return -ENOMEM;
	if (!*path) {
		snprintf(err, err_size, "the data directory has no name");
		return -EINVAL;
	}
	for (char *p = copy + 1;; p++) {
		char c = *p;
		int r;

		if (c && c != '/')
			continue;
		*p = '\0';
		r = data_dir_make_one(copy);
		if (r < 0) {
			snprintf(err, err_size, "cannot make %s: %s", copy,
				 strerror(-r));
			return r;
		}
		*p = c;
		if (!c)
			break;
	}
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		snprintf(err, err_size, "%s is not a directory", path);
		return -ENOTDIR;
	}
	return 0;
}

static void data_dir_read_pid(int fd, char out[DATA_DIR_PID_MAX_BYTES])
{
	ssize_t n = pread(fd, out, DATA_DIR_PID_MAX_BYTES - 1, 0);

	out[MAX(n, 0)] = '\0';
	out[strspn(out, "0123456789")] = '\0';
	if (!*out)
		strcpy(out, "?");
}

static int data_dir_take_lock(struct data_dir *d, uint32_t wait_ms, char *err,
			      size_t err_size)
{
	_cleanup_free_ char *file = NULL;
	char pid[DATA_DIR_PID_MAX_BYTES];
	int r;

	if (asprintf(&file, "%s/lock", d->path) < 0)
		return -ENOMEM;
	d->lock = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (d->lock < 0) {
		r = -errno;
		snprintf(err, err_size, "cannot write to %s: %s", file,
			 strerror(-r));
		return r;
	}
	r = file_lock(d->lock, wait_ms);
	if (r == -EBUSY) {
		data_dir_read_pid(d->lock, pid);
		snprintf(err, err_size,
			 "%s is in use by the backend with process id %s; "
			 "stop that one first, or choose another --data-dir",
			 d->path, pid);
		return r;
	}
	if (r < 0) {
		snprintf(err, err_size, "cannot lock %s: %s", file,
			 strerror(-r));
		return r;
	}
	snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	if (ftruncate(d->lock, 0) < 0 ||
	    pwrite(d->lock, pid, strlen(pid), 0) < 0) {
		r = -errno;
		snprintf(err, err_size, "cannot write to %s: %s", file,
			 strerror(-r));
		return r;
	}
	return 0;
}

int data_dir_open(struct data_dir **out, const char *path, uint32_t wait_ms,
		  char *err, size_t err_size)
{
	_cleanup_(data_dir_closep) struct data_dir *d = calloc(1, sizeof(*d));
	int r;

	snprintf(err, err_size, "out of memory");
	if (!d)
		return -ENOMEM;
	d->lock = -1;
	d->path = strdup(path);
	if (!d->path)
		return -ENOMEM;
	r = data_dir_make(path, err, err_size);
	if (r < 0)
		return r;
	r = data_dir_take_lock(d, wait_ms, err, err_size);
	if (r < 0)
		return r;
	*out = d;
	d = NULL;
	return 0;
}
