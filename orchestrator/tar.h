/* A tar archive in memory, by libarchive: the context of an image build. */
#pragma once

#include <stddef.h>

#include "common/buf.h"
#include "common/macro.h"

struct tar;

/* Each returns 0 or negative errno. */
int tar_new(struct tar **out) MUST_CHECK;
/* The same bytes for the same files, whenever it is made. */
int tar_new_gzip(struct tar **out) MUST_CHECK;
void tar_free(struct tar *tar);
DEFINE_CLEANUP(struct tar *, tar_free)

int tar_add_bytes(struct tar *tar, const char *name, const void *data,
		  size_t len) MUST_CHECK;
/* Keeps the file's permission bits; owner and time are 0. */
int tar_add_file(struct tar *tar, const char *name,
		 const char *path) MUST_CHECK;
/* Regular files below dir, as NAME/…; no links are followed. */
int tar_add_tree(struct tar *tar, const char *name, const char *dir) MUST_CHECK;
/* The finished archive. */
int tar_finish(struct tar *tar, struct buf *out) MUST_CHECK;
