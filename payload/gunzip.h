/*
 * Unpacks gzip in memory, a piece at a time, and is strict: one member with a
 * good checksum, nothing behind it, nothing missing. libarchive's own filter
 * does not look at the checksum and ignores what follows. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

#include "common/macro.h"

#define GUNZIP_PIECE_BYTES (64 * 1024)

enum {
	GUNZIP_E_REFUSED = 1, /* err says why */
};

struct gunzip {
	z_stream z;
	size_t packed;             /* bytes of the input */
	uint64_t bytes, max_bytes; /* unpacked by now, and at most */
	uint64_t nonzero_end;      /* what follows is zeros, as far as we are */
	bool ended;
	uint8_t piece[GUNZIP_PIECE_BYTES];
};

/* data must outlive g. 0 or -ENOMEM. */
int gunzip_init(struct gunzip *g, const void *data, size_t len) MUST_CHECK;
void gunzip_deinit(struct gunzip *g);

/* The next bytes in g->piece; *len is 0 at the end. 0, GUNZIP_E_REFUSED or
 * -ENOMEM; each but 0 with a sentence in err. */
int gunzip_next(struct gunzip *g, size_t *len, char *err,
		size_t err_size) MUST_CHECK;
