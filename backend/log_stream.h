/*
 * One reader of a job's log, with or without follow:
 *
 *   START ──(job read)──▶ IDLE ◀──(event)──▶ READING ──▶ BLOCKED (peer slow)
 *                           └──(job ended, log read to its end)──▶ DONE
 *
 * Nothing is queued for a slow reader but one piece of LOG_STREAM_READ_BYTES:
 * it goes on from its offset in the store when it has taken that.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define LOG_STREAM_READ_BYTES (256 * 1024)

struct api_call;

struct log_stream_options {
	int64_t offset; /* payload bytes to skip */
	bool follow;    /* until the job ends */
	bool frames;    /* with STATE frames; otherwise the bytes alone */
};

/* Answers the call. */
void log_stream_start(struct api_call *call, const char *job,
		      const struct log_stream_options *options);
