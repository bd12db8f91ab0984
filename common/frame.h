/*
 * The framing of control streams and of application/vnd.cronium.frames:
 *
 *   type (1 byte) | length (4 bytes, big endian) | payload
 *
 * A message longer than FRAME_PAYLOAD_MAX_BYTES is sent as several frames of
 * its type, all but the last with FRAME_MORE set. The table of types, with
 * directions and payloads, is in ARCHITECTURE.md.
 *
 * Pure: no sockets, no clock. See frame_stream.h for the libevent side.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macro.h"

#define FRAME_HEADER_BYTES 5
#define FRAME_PAYLOAD_MAX_BYTES 65536
#define FRAME_MESSAGE_MAX_BYTES (16 * 1024 * 1024)
#define FRAME_HEARTBEAT_MS 10000
#define FRAME_MORE 0x80

#define FRAME_CONTENT_TYPE "application/vnd.cronium.frames"

enum frame_type {
	FRAME_STDOUT = 1,
	FRAME_STDERR = 2,
	FRAME_NOTICE = 3,
	FRAME_READY = 16,
	FRAME_ASSIGN = 17,
	FRAME_SCRIPT = 18,
	FRAME_INPUT = 19,
	FRAME_SIGNAL = 20,
	FRAME_EXIT = 21,
	FRAME_REDACT = 22,
	FRAME_ACK = 23,
	FRAME_DRAIN = 24,
	FRAME_DRAINED = 25,
	FRAME_HEARTBEAT = 26,
	FRAME_STARTED = 27,
	FRAME_RESUME = 28,
	FRAME_TAKEN = 29,
	FRAME_DISMISS = 30,
	FRAME_USAGE = 31,
	FRAME_SPEC = 32,
	FRAME_STATE = 33,
	FRAME_CANCEL = 34,
	FRAME_REVOKE = 35,
	FRAME_POSITION = 36,
	FRAME_CHANGE = 37,
	FRAME_VALUE = 38,
	FRAME_EVENT = 40,
};

/* "STDOUT" …; "?" for an unknown type. */
const char *frame_type_name(uint8_t type);

/* One header; type may carry FRAME_MORE, len <= FRAME_PAYLOAD_MAX_BYTES. */
void frame_header_write(uint8_t out[FRAME_HEADER_BYTES], uint8_t type,
			size_t len);
/* The length of the payload after a header. */
size_t frame_header_length(const uint8_t header[FRAME_HEADER_BYTES]);

/* Appends one message, split as needed: all of it, or nothing and -ENOMEM. */
int frame_append(struct buf *out, enum frame_type type, const void *payload,
		 size_t len) MUST_CHECK;

/* Positive outcomes of frame_decoder_next(). */
enum {
	FRAME_E_AGAIN = 1, /* more bytes are needed */
	FRAME_E_INVALID,   /* unknown type, over-long, or MORE changed type */
};

struct frame {
	enum frame_type type;
	const uint8_t *payload; /* valid until the next call on the decoder */
	size_t len;
};

/* Collects bytes and gives whole messages. Zero-initialise, then set max. */
struct frame_decoder {
	struct buf in;
	struct buf message; /* parts of a message with FRAME_MORE */
	uint8_t partial;    /* its type, 0 when there is none */
	size_t taken;       /* bytes to drop from in on the next call */
	bool message_done;  /* message was handed out: clear on next call */
	size_t max_message_bytes; /* 0 = FRAME_MESSAGE_MAX_BYTES */
};

void frame_decoder_deinit(struct frame_decoder *d);
/* 0 or -ENOMEM. */
int frame_decoder_feed(struct frame_decoder *d, const void *data,
		       size_t len) MUST_CHECK;
/* 0 with *out filled, FRAME_E_*, or -ENOMEM. */
int frame_decoder_next(struct frame_decoder *d, struct frame *out) MUST_CHECK;
