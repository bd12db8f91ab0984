/*
 * Small files that only their owner may read: 0600, written whole and
 * durable, or not at all.
 */
#pragma once

#include <stddef.h>

#include "common/buf.h"
#include "common/macro.h"

#define SECRET_FILE_MAX_BYTES 16384

/*
 * Reads DIR/NAME into out (buf_deinit_secret()). -ENOENT when there is none,
 * without a message. Otherwise on failure a negative errno and a sentence in
 * err; -EPERM when others than the owner may read it.
 */
int secret_file_read(const char *dir, const char *name, struct buf *out,
		     char *err, size_t err_size) MUST_CHECK;

/* Makes DIR/NAME, which must not exist: temporary file, fsync, link, fsync of
 * the directory. NAME may have one directory in it, which is made, 0700. */
int secret_file_create(const char *dir, const char *name, const void *data,
		       size_t len, char *err, size_t err_size) MUST_CHECK;
