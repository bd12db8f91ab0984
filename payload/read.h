/*
 * Reads a payload (tar.gz in memory) entry by entry, and refuses everything
 * that could reach outside of the directory it is unpacked in. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

#define PAYLOAD_MAX_BYTES (10 * 1024 * 1024) /* of the archive */
#define PAYLOAD_ENTRIES_MAX 10000
#define PAYLOAD_UNPACKED_MAX_BYTES (256LL * 1024 * 1024)
#define PAYLOAD_RATIO_MAX 200 /* unpacked to packed, beyond … */
#define PAYLOAD_RATIO_FREE_BYTES (1024 * 1024)
#define PAYLOAD_PATH_MAX_BYTES 1024
#define PAYLOAD_NAME_MAX_BYTES 255
#define PAYLOAD_DEPTH_MAX 32

enum {
	PAYLOAD_E_REFUSED = 1, /* err says which entry and why */
};

struct payload_entry {
	const char *path; /* relative, no final slash */
	bool directory;
	bool executable; /* by its owner */
	uint64_t size;   /* of a file */
};

/* What to do with an entry; each 0, or negative errno, which ends the reading
 * and is given back. Any may be NULL. */
struct payload_sink {
	int (*on_entry)(const struct payload_entry *e, void *ctx);
	int (*on_data)(const void *data, size_t len, void *ctx);
	int (*on_end)(const struct payload_entry *e, void *ctx);
};

/* Whether it looks like an archive (gzip): no script begins like that. */
bool payload_is_archive(const void *data, size_t len);

/* 0, PAYLOAD_E_REFUSED, or negative errno; each but 0 with a sentence in
 * err. An archive is known to be good when all of it was read: nothing may be
 * used before. */
int payload_read(const void *data, size_t len, const struct payload_sink *sink,
		 void *ctx, char *err, size_t err_size) MUST_CHECK;
