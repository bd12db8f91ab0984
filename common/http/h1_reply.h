/* The replies of an HTTP/1 connection: struct conn_protocol's part of them,
 * and how an exchange ends. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct http_conn;
struct http_exchange;
struct http_header;

void h1_respond(struct http_exchange *ex, int status,
		const struct http_header *headers, size_t n_headers,
		const void *body, size_t len);
void h1_start(struct http_exchange *ex, int status,
	      const struct http_header *headers, size_t n_headers);
bool h1_write(struct http_exchange *ex, const void *data, size_t len);
void h1_end(struct http_exchange *ex);
void h1_abort(struct http_exchange *ex);

/* Request and reply are complete, or the connection ends after the reply. */
void h1_next(struct http_conn *c);
/* Nothing more happens to the connection's exchange. */
void h1_bury(struct http_conn *c);
