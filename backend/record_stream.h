/*
 * One reader of a stream of records:
 *
 *   START ──▶ READING ◀──▶ IDLE        all was read; something happened
 *                │    ▲
 *                │    └────▶ BLOCKED    the peer is slow; it has taken that
 *                ├──▶ BREAKING          the stream is broken: until the peer
 *                │                      has what came before
 *                └──▶ (the body ends)   the stream has ended, or no follow
 *
 * START is the first read, which may end in a problem; what it gave is dealt
 * with as in READING.
 *
 * Nothing is queued for a slow reader but one piece of
 * RECORD_STREAM_READ_BYTES: it goes on from its record in the store when it has
 * taken that, and the hub is told, for the sake of those who write.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "backend/store_record.h"

#define RECORD_STREAM_READ_BYTES (512 * 1024)
#define RECORD_STREAM_CONTENT_TYPE "application/x-ndjson"

struct api_call;

struct record_stream_options {
	enum store_stream_kind kind;
	int64_t from; /* number of the first record */
	bool follow;  /* until the stream ends */
};

/* Answers the call. */
void record_stream_start(struct api_call *call, const char *job,
			 const struct record_stream_options *options);
