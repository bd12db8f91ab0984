/*
 * One call: a copy of its request, and its reply as it arrives. Memory only;
 * where a call stands is decided in client.c.
 *
 *   WAITING ──▶ SENT ──▶ ENDED ──▶ (on_done) pool
 *      ▲  ▲       │
 *      │  └───────┤ unsent, or to be retried at once
 *      └─ DELAYED ◀ to be retried later
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "backend-client/client.h"
#include "backend-client/connection.h"
#include "common/buf.h"

#define CALL_REQUEST_HEADERS_MAX 64
#define CALL_RESPONSE_HEADERS_MAX 128
#define CALL_KEEP_BUFFER_BYTES (16 * 1024)

enum call_place { CALL_WAITING, CALL_SENT, CALL_DELAYED, CALL_ENDED };

struct backend_call {
	struct client_stream stream;    /* first: it is cast back */
	TAILQ_ENTRY(backend_call) link; /* list of its place */
	TAILQ_ENTRY(backend_call) all;  /* every live call; the pool */
	struct backend_client *client;
	struct backend_call_ops ops;
	void *ctx;
	enum call_place place;

	enum backend_retry retry;
	uint64_t deadline_ms; /* absolute; 0 = none */
	uint32_t attempt_timeout_ms;
	uint64_t wake_ms; /* when client.c must look at it; 0 = never */
	unsigned int attempts;
	bool trial;    /* lets the breaker know how it ended */
	bool streamed; /* on_headers was called: no way back */

	struct buf request; /* nva, then the bytes it points to */
	size_t n_headers;   /* in nva, pseudo-headers not counted */
	bool has_authorization;
	const char *method, *path;
	size_t method_len, path_len;
	const uint8_t *body;
	size_t body_len;

	int status;
	bool headers_done;
	struct backend_header *reply_headers;
	nghttp2_rcbuf **reply_rcbufs; /* two a header */
	size_t n_reply_headers, cap_reply_headers;
	struct buf reply;

	enum backend_error error;
	char detail[160];
};

TAILQ_HEAD(backend_calls, backend_call);

struct backend_call *call_new(void);
void call_free(struct backend_call *call);
/* Ready for another request; keeps small buffers. */
void call_recycle(struct backend_call *call);

/* Copies req. 0, -EINVAL (too many headers) or -ENOMEM. */
int call_set_request(struct backend_call *call,
		     const struct backend_request *req) MUST_CHECK;
/* The caller's headers, to be sent with NO_COPY. */
const nghttp2_nv *call_headers(const struct backend_call *call);

/* 0, -E2BIG or -ENOMEM. ":status" is understood; trailers are dropped. */
int call_add_reply_header(struct backend_call *call, nghttp2_rcbuf *name,
			  nghttp2_rcbuf *value) MUST_CHECK;
/* Forgets the reply (and a 1xx one) before the next. */
void call_clear_reply(struct backend_call *call);
void call_set_error(struct backend_call *call, enum backend_error error,
		    const char *detail);
void call_response(const struct backend_call *call,
		   struct backend_response *out);
