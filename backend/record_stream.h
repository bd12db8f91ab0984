/*
 * One reader of a stream of records:
 *
 *   START ──(first read)──▶ IDLE ◀──(event)──▶ READING ──▶ BLOCKED (peer slow)
 *     │                                           │
 *     └──▶ a problem            (all read: ended) ├──▶ END
 *                                        (broken) └──▶ BREAKING ──▶ ABORT
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
