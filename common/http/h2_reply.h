/* The replies of an HTTP/2 connection: struct conn_protocol's part of them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_exchange;
struct http_header;

void h2_respond(struct http_exchange *ex, int status,
		const struct http_header *headers, size_t n_headers,
		const void *body, size_t len);
void h2_start_reply(struct http_exchange *ex, int status,
		    const struct http_header *headers, size_t n_headers);
bool h2_write(struct http_exchange *ex, const void *data, size_t len);
void h2_end(struct http_exchange *ex);
void h2_abort(struct http_exchange *ex);

/* 100 Continue, unless it makes no sense any more. */
void h2_send_continue(struct http_exchange *ex);
/* RST_STREAM with one of nghttp2's error codes. */
void h2_reset(struct http_exchange *ex, uint32_t code);
