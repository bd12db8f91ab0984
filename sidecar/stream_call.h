/* What the calls of both streams share: their queries, and the headers that
 * go on to the backend. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend-client/client.h"
#include "common/http/trace.h"

struct request;

#define STREAM_CONTENT_TYPE "application/x-ndjson"
#define STREAM_PATH_BYTES 128
#define STREAM_HEADERS_MAX 3

/* Decimal digits alone. */
bool stream_number_parse(const char *text, uint64_t *out);

/* ?from=N: 1 with *from set, 0 without one; -1 after having answered 400. */
int stream_query_from(struct request *req, uint64_t *from);
/* The same for ?end=0 or 1. */
int stream_query_end(struct request *req, bool *end);

/* Embedded by value; not to be copied. */
struct stream_headers {
	struct backend_header items[STREAM_HEADERS_MAX];
	size_t n;
	char traceparent[HTTP_TRACEPARENT_BYTES];
};

/* key: the Idempotency-Key, NULL for none; must stay. */
void stream_headers_fill(struct stream_headers *h, const char *trace,
			 const char *key, bool has_body);
