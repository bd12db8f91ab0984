/*
 * Masks secrets in a byte stream, also where a secret is cut by a chunk
 * boundary. For each secret its plain, base64 (all three alignments, standard
 * and URL alphabet), percent-encoded, JSON-escaped and repr()-quoted forms are
 * masked with REDACT_MASK.
 *
 * A redactor is shared by the streams of one job; each stream (stdout,
 * stderr) has its own redact_stream, which holds back the few bytes that may
 * be the beginning of a secret.
 *
 * Pure: no sockets, no clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macro.h"

#define REDACT_MASK "********"
#define REDACT_SECRET_MIN_BYTES 6
#define REDACT_SECRETS_MAX 1024
/* Forms of these, and of the strings in them: a job's writing of secrets costs
 * whoever masks its log no more. */
#define REDACT_PATTERNS_MAX 20480
#define REDACT_PATTERNS_MAX_BYTES (32 * 1024 * 1024)
/* Forms that begin with the same REDACT_SECRET_MIN_BYTES bytes: each of them is
 * looked at wherever a log has these bytes. */
#define REDACT_ALIKE_MAX 256

/* A longer form is masked in pieces, so that no stream ever holds back more
 * than this, whatever comes. */
#define REDACT_PIECE_MAX_BYTES ((size_t)64 * 1024)

struct redactor;
struct redact_stream;

int redactor_new(struct redactor **out) MUST_CHECK;
void redactor_free(struct redactor *r);

enum {
	REDACT_E_SHORT = 1, /* below REDACT_SECRET_MIN_BYTES: not masked */
	REDACT_E_FULL,      /* a REDACT_*_MAX is reached: must not be told */
};

/*
 * Registers a secret for all streams from their next byte on. value is the
 * JSON value as stored; the text of every string in it is a secret too. 0,
 * REDACT_E_* or negative errno.
 */
int redactor_add(struct redactor *r, const void *value, size_t len) MUST_CHECK;

/* The redactor must outlive the stream. */
int redact_stream_new(struct redact_stream **out,
		      struct redactor *r) MUST_CHECK;
void redact_stream_free(struct redact_stream *s);

/* Appends to out what of the stream is safe to show. 0 or -ENOMEM. */
int redact_stream_feed(struct redact_stream *s, const void *data, size_t len,
		       struct buf *out) MUST_CHECK;
/* Appends what was held back: no secret can be completed any more, or the
 * stream has been quiet for a while. 0 or -ENOMEM. */
int redact_stream_flush(struct redact_stream *s, struct buf *out) MUST_CHECK;

/* How many of the bytes that were fed are held back. */
size_t redact_stream_held(const struct redact_stream *s);

/* Where a stream is between two feeds, apart from what it holds back: another
 * one, of a redactor that knows the same secrets, that has this restored and is
 * fed the same from the first held byte on, goes on as this one would. */
struct redact_state {
	size_t covered; /* bytes to come that are part of a secret */
	bool in_mask;   /* its mask was written already */
};
struct redact_state redact_stream_state(const struct redact_stream *s);
/* Before anything is fed. */
void redact_stream_restore(struct redact_stream *s, struct redact_state state);
