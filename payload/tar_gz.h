/*
 * Writes a tar.gz that says nothing but names, contents and whether a file may
 * be executed: no owners, no times, no machine. The same calls, the same
 * bytes. By libarchive. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macro.h"

struct tar_gz;

/* Appends to out, which must outlive it. Each 0, -ENOMEM, or -EFBIG where out
 * would have more than max_bytes. */
int tar_gz_new(struct tar_gz **t, struct buf *out, size_t max_bytes) MUST_CHECK;
void tar_gz_free(struct tar_gz *t);
DEFINE_CLEANUP(struct tar_gz *, tar_gz_free)

int tar_gz_add_dir(struct tar_gz *t, const char *path) MUST_CHECK;
/* Followed by its size in bytes of contents. */
int tar_gz_add_file(struct tar_gz *t, const char *path, bool executable,
		    uint64_t size) MUST_CHECK;
int tar_gz_write(struct tar_gz *t, const void *data, size_t len) MUST_CHECK;
int tar_gz_finish(struct tar_gz *t) MUST_CHECK;
