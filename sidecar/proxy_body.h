/*
 * The body of a request that the egress proxy sends on: so many bytes and not
 * one more, or chunks, which are read strictly and written anew, so that the
 * server cannot understand them in another way. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/http/chunked.h"
#include "common/macro.h"

/* Embedded by value. */
struct proxy_body {
	bool is_chunked;
	uint64_t left; /* of one of known length */
	struct chunked chunked;
	bool done; /* nothing that follows belongs to it */
};

void proxy_body_init(struct proxy_body *b, bool is_chunked, uint64_t bytes);
/* Appends what is to be sent on; what follows the body's end is dropped. 0,
 * -EINVAL for chunks that are none, or -ENOMEM. */
int proxy_body_read(struct proxy_body *b, const uint8_t *data, size_t len,
		    struct buf *out) MUST_CHECK;
