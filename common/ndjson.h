/*
 * Splits NDJSON into records while it arrives, in pieces of any size. Pure.
 *
 * A record is what stands on one line, without the JSON white space around
 * it; a line of nothing else is no record. Whether a record is JSON is not
 * looked at. How the text is cut into pieces makes no difference.
 *
 *	ndjson_feed(n, piece, len);
 *	while (!(r = ndjson_next(n, &record)))
 *		...
 *
 * A record that lies within one piece is handed out where it lies; only one
 * that goes on in the next piece is copied.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macro.h"

enum {
	NDJSON_E_MORE = 1,  /* the piece is used up */
	NDJSON_E_TOO_LARGE, /* a record is over the limit; now and ever after */
};

struct ndjson_record {
	const uint8_t *data; /* until the next call but ndjson_keep() */
	size_t len;
	uint64_t number;
	uint64_t offset; /* of data in its line */
};

/* Embedded by value. */
struct ndjson {
	size_t record_max_bytes;
	uint64_t next; /* the number of the record that comes next */

	/* What was fed and not looked at; borrowed, or in kept. */
	const uint8_t *data;
	size_t len;
	struct buf kept;
	bool in_kept;
	struct buf half; /* of a line, from its first byte that counts on */
	uint64_t blank;  /* bytes in front of it */
	bool handed_out; /* half is the record of the last call */
	bool too_large;
};

/* first: the number of the first record. A line may have up to
 * record_max_bytes from its first byte that is not white space on, and a CR. */
void ndjson_init(struct ndjson *n, size_t record_max_bytes, uint64_t first);
void ndjson_deinit(struct ndjson *n);

/* data must stay until ndjson_next() says NDJSON_E_MORE, or ndjson_keep(). All
 * of the piece before was used up. */
void ndjson_feed(struct ndjson *n, const void *data, size_t len);

/*
 * The next record. 0, NDJSON_E_MORE, NDJSON_E_TOO_LARGE (the number of the
 * record is n->next), or -ENOMEM, after which there is no going on.
 */
int ndjson_next(struct ndjson *n, struct ndjson_record *out) MUST_CHECK;
/* The text has ended, and its last line may have no line feed: that record, or
 * NDJSON_E_MORE where there is none. */
int ndjson_finish(struct ndjson *n, struct ndjson_record *out) MUST_CHECK;

/* The piece is about to go: copies what is left of it, and the record that was
 * handed out last, where that lies in it. 0 or -ENOMEM. */
int ndjson_keep(struct ndjson *n, struct ndjson_record *record) MUST_CHECK;
