/* HTTP/1.1 and 1.0 on a connection. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/http/chunked.h"
#include "common/http/head.h"

struct conn_protocol;
struct http_exchange;

/* So much of a body that nobody wants is read to keep the connection. */
#define H1_DISCARD_MAX_BYTES 65536

/*
 * HEAD ──▶ BODY ──▶ REPLY ──▶ HEAD …
 *   └────────────────▲   (no body)
 *
 * One request at a time; what was pipelined behind it waits in the
 * connection's read buffer.
 */
enum h1_state {
	H1_HEAD,  /* reading a request's head */
	H1_BODY,  /* reading its body; the reply may have been ended */
	H1_REPLY, /* waiting for the end of the reply */
};

struct h1 {
	enum h1_state state;
	struct head_scan scan;
	struct chunked chunked;
	bool is_chunked;
	uint64_t body_left;       /* when not chunked */
	uint64_t discarded_bytes; /* of a body that nobody wanted */
	bool keep_alive;
	bool http_1_0;
	bool patient;     /* the last request is endless */
	bool stalled;     /* input stopped because too much is to be written */
	uint64_t head_ms; /* when the first byte of the head came */
	struct http_exchange *ex;
};

extern const struct conn_protocol H1_PROTOCOL;
