/*
 * Growable byte buffer, embedded by value. Zero-initialised is empty and
 * valid. Bytes are consumed from the front without moving them each time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

struct buf {
	uint8_t *data; /* first unread byte; NULL when nothing was allocated */
	size_t len;    /* unread bytes */
	size_t cap;    /* bytes available from data on */
	size_t off;    /* consumed bytes in front of data */
};

void buf_deinit(struct buf *b);

/* Makes room for n more bytes after data + len. 0 or -ENOMEM. */
int buf_reserve(struct buf *b, size_t n) MUST_CHECK;
int buf_append(struct buf *b, const void *data, size_t n) MUST_CHECK;
int buf_append_str(struct buf *b, const char *s) MUST_CHECK;
int buf_printf(struct buf *b, const char *fmt, ...) MUST_CHECK
	PRINTF_LIKE(2, 3);

/* Drops n bytes (n <= len) from the front. */
void buf_consume(struct buf *b, size_t n);
void buf_clear(struct buf *b);

/* Makes data[len] a NUL that is not counted; returns it, NULL on ENOMEM. */
char *buf_cstr(struct buf *b);

/* Hands the bytes over as a malloc()ed, NUL-terminated block; b is empty. */
char *buf_take(struct buf *b, size_t *len);

/* Overwrites the bytes before freeing: for secrets. */
void buf_deinit_secret(struct buf *b);
