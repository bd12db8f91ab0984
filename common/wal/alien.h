/*
 * What lies in DATA/wal and is no file of a log: nothing of it is read, and
 * nothing of it is passed over in silence.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/macro.h"

#define WAL_ALIEN_TEXT_BYTES (NAME_MAX + 160)

enum wal_alien_kind {
	WAL_ALIEN_NONE,
	WAL_ALIEN_NAME, /* no name of ours: it is in nobody's way */
	/* One of our names, so that a log cannot be written beside it: */
	WAL_ALIEN_TYPE,   /* a directory, a pipe, a link … */
	WAL_ALIEN_NUMBER, /* of a record that no log of ours comes to */
	WAL_ALIEN_SIZE,   /* more than WAL_SEGMENT_MAX_BYTES */
};

struct wal_alien {
	enum wal_alien_kind kind;
	char name[NAME_MAX + 1]; /* "?" for what is not printable ASCII */
	mode_t mode;
	uint64_t bytes;
};

enum wal_alien_kind wal_alien_judge(const char *name, const struct stat *st);
/* Whether it has to be moved away before a log can be written there. */
bool wal_alien_blocks(const struct wal_alien *a);
/* "NAME is a directory, …": a sentence without a full stop. */
void wal_alien_text(const struct wal_alien *a, char *out, size_t size);

/* Hands out all there are, in no order. 0 or negative errno. */
int wal_alien_each(int dir_fd,
		   void (*on_alien)(const struct wal_alien *a, void *ctx),
		   void *ctx) MUST_CHECK;
