/*
 * A stream of records of `cronium dev`, in memory: whole lines, numbered from
 * 0. What an append may do is as in the backend. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macro.h"

#define DEV_STREAM_MAX_BYTES (256 * 1024 * 1024) /* it is all in memory */

enum {
	DEV_STREAM_E_GAP = 1,
	DEV_STREAM_E_ENDED,
	DEV_STREAM_E_CONFLICT, /* other records are stored there */
	DEV_STREAM_E_LIMIT,
};

/* Embedded by value; zero is an empty, open one. */
struct dev_stream {
	struct buf text; /* each record with its line feed */
	size_t *starts;  /* where each begins in text */
	int64_t n;
	bool ended, broken;
};

void dev_stream_deinit(struct dev_stream *s);
/* One JSON value, without its line feed. 0 or -ENOMEM. */
int dev_stream_add(struct dev_stream *s, const void *record,
		   size_t len) MUST_CHECK;
/* Lines of JSON values; from: the number of the first, -1 for the end. 0,
 * DEV_STREAM_E_* or -ENOMEM, and then nothing was stored; *added: how many are
 * new. */
int dev_stream_append(struct dev_stream *s, int64_t from, const void *lines,
		      size_t len, bool end, int64_t *added) MUST_CHECK;
/* The text from that record on (at most n). */
const uint8_t *dev_stream_from(const struct dev_stream *s, int64_t from,
			       size_t *len);
