/*
 * Asynchronous HTTP/2 client: one multiplexed connection to one endpoint, in
 * the caller's event loop. Reconnects by itself (also after GOAWAY), retries
 * what is safe with exponential backoff and full jitter until the call's
 * deadline, and stops asking for a while when the backend is down (circuit
 * breaker).
 *
 * Every call ends in exactly one on_done, unless it is cancelled.
 *
 * The connection is kept warm: made at once, and made again when it is lost,
 * with backoff. A call is sent when the connection is up (the peer's SETTINGS
 * arrived) and the peer's limit of concurrent streams allows it; until then
 * it waits here, in order.
 *
 * How long a call waits for a backend that is down:
 *   - BACKEND_RETRY_UNSENT or _SAFE with a deadline: until the deadline, also
 *     while the breaker is open. Then it ends with the reason for the waiting
 *     (BACKEND_E_UNREACHABLE, _BROKEN …).
 *   - every other call: until the attempt to connect under way fails
 *     (BACKEND_E_UNREACHABLE); not at all while the breaker is open
 *     (BACKEND_E_BREAKER).
 *
 * "Unsent" are: a call whose first byte was not written, a stream above the
 * last one that GOAWAY names, a stream reset with REFUSED_STREAM. A call
 * without a deadline makes five attempts at most. Retry-After is honoured. When
 * no further attempt fits before the deadline, the last reply is handed over as
 * it is.
 *
 * The breaker counts what says that the backend is down: connecting fails, an
 * attempt or a deadline passes without an answer. Any answer, also a 5xx,
 * closes it. Half open, one call or connection at a time is let through.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

struct event_base;
struct backend_client;
struct backend_call;

struct backend_client_config {
	/* "unix:/path" or "http://host:port" (HTTP/2 with prior knowledge), or
	 * "https://host:port" (TLS, verified, ALPN h2; see tls.h). Several
	 * of the latter two, with commas: the next one is used when one
	 * cannot be reached or is lost. */
	const char *endpoint;
	const char *bearer;  /* sent with every call; NULL for none; copied */
	const char *ca_file; /* PEM; NULL: the system's */
	/* The header (lower case) that carries bearer bare, instead of
	 * "authorization: Bearer …", which HPACK never keeps in its table: a
	 * token of 600 bytes is then sent, coded and decoded once a
	 * connection, and not once a call. NULL: authorization. */
	const char *bearer_header;
	const char *user_agent;
	uint32_t connect_timeout_ms;
	uint32_t idle_ping_ms; /* PING when silent; dead after another */
	uint32_t backoff_initial_ms, backoff_max_ms;
	uint32_t breaker_failures; /* consecutive, until it opens */
	uint32_t breaker_open_ms;  /* until one trial is let through */
	uint64_t response_bytes;   /* largest buffered reply */
};

/* Most of idle_ping_ms where there are several endpoints: one that has fallen
 * silent is left well before a lease (30 s) has run out. */
#define BACKEND_CLIENT_PING_SEVERAL_MS 3000

extern const struct backend_client_config BACKEND_CLIENT_CONFIG_DEFAULT;

enum backend_breaker { BACKEND_CLOSED, BACKEND_OPEN, BACKEND_HALF_OPEN };

/* config is copied. 0, -EINVAL for a bad endpoint, or negative errno. */
int backend_client_new(struct backend_client **out, struct event_base *base,
		       const struct backend_client_config *config) MUST_CHECK;
/* Drops the connection; on_done is not called for what is under way. */
void backend_client_free(struct backend_client *c);
DEFINE_CLEANUP(struct backend_client *, backend_client_free)

/* From the next attempt on; NULL for none. 0 or -ENOMEM. */
int backend_client_set_bearer(struct backend_client *c,
			      const char *bearer) MUST_CHECK;
bool backend_client_connected(const struct backend_client *c);
enum backend_breaker backend_client_breaker(const struct backend_client *c);
/* on = 1 connected, 0 lost; for logs and /readyz. */
void backend_client_on_state(struct backend_client *c,
			     void (*fn)(int on, const char *why, void *ctx),
			     void *ctx);

struct backend_header {
	const char *name; /* lower case */
	const char *value;
};

enum backend_retry {
	BACKEND_RETRY_NEVER,  /* one attempt */
	BACKEND_RETRY_UNSENT, /* only while the backend cannot have seen it */
	BACKEND_RETRY_SAFE,   /* idempotent: also on 429, 502, 503, 504 */
};

struct backend_request {
	const char *method; /* "GET" … */
	const char *path;   /* with query */
	const struct backend_header *headers;
	size_t n_headers;
	const void *body; /* copied */
	size_t body_len;
	/* It is not copied: body stays until on_done, or backend_call_cancel().
	 */
	bool body_borrowed;
	uint32_t deadline_ms; /* whole call with retries; 0 = none (streams) */
	uint32_t attempt_timeout_ms; /* one attempt; 0 = what is left */
	enum backend_retry retry;
};

enum backend_error {
	BACKEND_OK = 0,
	BACKEND_E_UNREACHABLE, /* cannot connect */
	BACKEND_E_DEADLINE,
	BACKEND_E_BROKEN,    /* connection or stream died under way */
	BACKEND_E_BREAKER,   /* circuit open: not even tried */
	BACKEND_E_TOO_LARGE, /* reply over response_bytes */
	BACKEND_E_PROTOCOL,
	BACKEND_E_MEMORY,
};
const char *backend_strerror(enum backend_error e);

struct backend_response {
	enum backend_error error; /* BACKEND_OK: status and the rest are set */
	const char *detail;       /* for error: a sentence */
	int status;
	const struct backend_header *headers;
	size_t n_headers;
	const uint8_t *body; /* NULL when streamed */
	size_t body_len;
	unsigned int attempts;
};

/* name in lower case; NULL when absent. */
const char *backend_response_header(const struct backend_response *r,
				    const char *name);

/* Everything handed over is valid during the call only. */
struct backend_call_ops {
	/* Streaming replies only (on_data set): status and headers are in.
	 * on_done has them too. */
	void (*on_headers)(struct backend_call *call,
			   const struct backend_response *r, void *ctx);
	/* NULL buffers the body for on_done. Once it was called there is no
	 * retry. */
	void (*on_data)(struct backend_call *call, const uint8_t *data,
			size_t len, void *ctx);
	void (*on_done)(struct backend_call *call,
			const struct backend_response *r, void *ctx);
};

/* 0 or -ENOMEM. out may be NULL. on_done is never called from within. */
int backend_client_call(struct backend_client *c,
			const struct backend_request *req,
			const struct backend_call_ops *ops, void *ctx,
			struct backend_call **out) MUST_CHECK;
/* RST_STREAM; on_done is not called. Fine inside the call's own callbacks. */
void backend_call_cancel(struct backend_call *call);
/* Flow control of a streamed reply: while paused, no window is given back; up
 * to 256 KiB may still arrive. Other calls go on. */
void backend_call_pause(struct backend_call *call);
void backend_call_resume(struct backend_call *call);
