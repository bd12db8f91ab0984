/* Reading and writing all of it, making directories on the way. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "common/macro.h"

struct buf;

/* Appends all that can be read, at most max bytes. 0, -EFBIG where there is
 * more, -ENOMEM or negative errno. */
int file_read_all(int fd, size_t max, struct buf *out) MUST_CHECK;
/* 0 or negative errno. */
int file_write_all(int fd, const void *data, size_t len) MUST_CHECK;

/* mkdir -p; what is made has this mode, less the umask. 0, -ENAMETOOLONG or
 * negative errno. */
int file_make_dirs(const char *dir, mode_t mode) MUST_CHECK;

/* Writes a new file beside it and renames that, so that nobody sees half of
 * it; the new one has this mode, whatever the umask. 0, -ENAMETOOLONG or
 * negative errno, and then nothing has changed. */
int file_replace(const char *path, const void *data, size_t len,
		 mode_t mode) MUST_CHECK;
