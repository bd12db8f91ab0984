/*
 * How much a script may have under way at once. Pure counting; who begins
 * ends.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Requests under way that need the backend or still send their body. Each
 * holds at most one body; a script that wants more waits. */
#define LIMITS_IN_FLIGHT 256
#define LIMITS_IN_FLIGHT_BYTES (32 * 1024 * 1024)
/* Replies that the script has asked for and does not read. */
#define LIMITS_REPLY_BYTES (64 * 1024 * 1024)
/* Streams that are open, of each kind: reading, writing. */
#define LIMITS_STREAMS 16
#define LIMITS_CONDITION_BYTES 1024
#define LIMITS_INCREMENT_BYTES 1024

struct limits {
	uint32_t in_flight;
	uint64_t in_flight_bytes;
	uint32_t stream_reads, stream_writes;
};

/* bytes: the body it may hold. False: over the limit, nothing was counted. */
bool limits_begin(struct limits *l, uint64_t bytes);
void limits_end(struct limits *l, uint64_t bytes);
