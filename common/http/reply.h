/*
 * Rendering HTTP/1 replies, and what of a handler's headers may be sent in
 * either protocol. Pure but for the buffer it appends to.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/http/server.h"
#include "common/macro.h"

struct reply {
	int status;
	const struct http_header *headers;
	size_t n_headers;
	int64_t length; /* Content-Length to add; -1: none */
	bool chunked;
	bool close;      /* Connection: close */
	bool keep_alive; /* Connection: keep-alive, for HTTP/1.0 */
	const char *date;
	size_t date_len;
	const void *body; /* follows the head */
	size_t body_len;
};

/* 0 or -ENOMEM. Of the headers, those that the server makes itself and those
 * that would break the framing are left out. */
int reply_render(struct buf *out, const struct reply *r) MUST_CHECK;

/* One chunk. 0 or -ENOMEM. */
int reply_chunk(struct buf *out, const void *data, size_t len) MUST_CHECK;

/* False for a header that must not be sent: no name, or control characters;
 * and for Connection, Date, Transfer-Encoding, which are the server's. */
bool reply_header_sendable(const struct http_header *h);
/* The Content-Length among the headers, -1 when there is none. */
int64_t reply_content_length(const struct http_header *headers, size_t n);
bool reply_is_content_length(const struct http_header *h);
