/* What the calls of both streams share: their queries, and the headers that
 * go on to the backend. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend-client/client.h"
#include "common/http/trace.h"
#include "sidecar/forward.h"

struct request;

#define STREAM_CONTENT_TYPE "application/x-ndjson"
#define STREAM_PATH_BYTES 128
#define STREAM_HEADERS_MAX 3
#define STREAM_APPEND_BYTES (1024 * 1024) /* of one append, as the API has it */
#define STREAM_KEY_BYTES (FORWARD_IDEMPOTENCY_KEY_BYTES + 1)

/* Decimal digits alone. */
bool stream_number_parse(const char *text, uint64_t *out);

/* How a script wants to write. */
struct stream_options {
	bool numbered; /* from: the number of the first record */
	uint64_t from;
	bool end;                   /* the stream ends with this body */
	bool acks;                  /* acknowledged on the way */
	char key[STREAM_KEY_BYTES]; /* of the body as a whole, or "" */
};

/* ?from=N: 1 with *from set, 0 without one; -1 after having answered 400. */
int stream_query_from(struct request *req, uint64_t *from);
/* False: it is refused, and was answered. */
bool stream_options_read(struct request *req, struct stream_options *out);

/* Embedded by value; not to be copied. */
struct stream_headers {
	struct backend_header items[STREAM_HEADERS_MAX];
	size_t n;
	char traceparent[TRACE_PARENT_BYTES];
};

/* key: the Idempotency-Key, NULL for none; must stay. */
void stream_headers_fill(struct stream_headers *h, const char *trace,
			 const char *key, bool has_body);
