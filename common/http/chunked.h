/*
 * The chunked transfer coding (RFC 9112, 7.1), read strictly: sizes are bare
 * hex digits, lines end in CR LF, extensions are bounded and ignored. Trailer
 * fields are refused: nothing here uses them, and merging them into headers is
 * a way around checks.
 *
 * Pure: no sockets, no clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/macro.h"

#define CHUNKED_SIZE_DIGITS_MAX 15
#define CHUNKED_EXTENSION_MAX_BYTES 256

enum chunked_state {
	CHUNKED_SIZE_FIRST,
	CHUNKED_SIZE,
	CHUNKED_EXTENSION,
	CHUNKED_SIZE_LF,
	CHUNKED_DATA,
	CHUNKED_DATA_CR,
	CHUNKED_DATA_LF,
	CHUNKED_END_CR,
	CHUNKED_END_LF,
	CHUNKED_DONE,
};

/* Zero-initialise for every body. */
struct chunked {
	enum chunked_state state;
	uint64_t left; /* of the current chunk */
	unsigned int digits;
	uint32_t extension_bytes; /* of all chunks */
};

/*
 * Reads up to the end of the next piece of data. Returns the bytes consumed;
 * *piece and *n are the data among them (n 0 when there was none). Stop when
 * state is CHUNKED_DONE. -EINVAL for anything else than chunks.
 */
ssize_t chunked_read(struct chunked *c, const uint8_t *data, size_t len,
		     const uint8_t **piece, size_t *n) MUST_CHECK;
