/* What the parts of HTTP/2 share: the session of a connection. */
#pragma once

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/http/exchange.h"

/* Events within a window of time. */
struct rate {
	uint64_t since_ms;
	uint32_t n;
};

struct h2 {
	nghttp2_session *session;
	struct exchange_list exchanges;
	struct rate resets, control;
	uint64_t head_ms; /* when the open header block began; 0: none is */
	uint32_t continuations;
	uint64_t reply_bytes; /* in the exchanges' out */
	bool draining;
	bool drains; /* some exchange's on_drain may be due */
};
