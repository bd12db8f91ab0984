/*
 * One append to a stream, from the body of its request to the reply:
 *
 *   body ──▶ lines ──▶ hub: is there room? ──▶ store ──▶ reply, readers told
 *                        └──▶ waits, STREAM_WAIT_MS at most
 *
 * Once it is with the store it is carried out, whether or not the peer stays.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/store.h"

/* Of one request, without the newline of its last line; also the longest
 * record, whatever --max-value-bytes is. */
#define STREAM_APPEND_MAX_BYTES (1024 * 1024)

struct api_call;

struct stream_append_options {
	const char *job; /* whose stream it is; outlives the call's request */
	const char *execution; /* that writes; NULL: an administrator */
	enum store_stream_kind kind;
	bool check; /* that each record is JSON */
};

/* Answers the call. options may go away. */
void stream_append_start(struct api_call *call,
			 const struct stream_append_options *options,
			 const uint8_t *body, size_t len);
