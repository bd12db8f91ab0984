/*
 * The body of an append as records: each JSON value on a line of its own,
 * without the white space around it. What is a record is common/ndjson.h's to
 * say. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macro.h"

/* Outcomes; n says which record it is. */
enum {
	STREAM_LINES_E_TOO_LARGE = 1,
	STREAM_LINES_E_INVALID, /* no JSON value: bad_offset */
};

/* Zero-initialised is empty and valid. */
struct stream_lines {
	struct buf text; /* n lines, each with its newline */
	int64_t n;
	int64_t bad_offset; /* in its line */
};

/* check: that each record is JSON. 0, or STREAM_LINES_E_*, or -ENOMEM. */
int stream_lines_parse(struct stream_lines *l, const uint8_t *body, size_t len,
		       size_t max_record_bytes, bool check) MUST_CHECK;
void stream_lines_deinit(struct stream_lines *l);
