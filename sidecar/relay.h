/*
 * One request that one call to the backend answers: everything but cached
 * reads. Takes part in the limits, collects the body, outlives a script that
 * hangs up on a write, and holds a secret back until it will be masked.
 *
 *   COLLECTING ──▶ CALLING ──▶ REDACTING ──▶ (freed)
 *       │             └───────────────────────▲
 *       └── the script went away, or the body is refused
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"
#include "sidecar/request.h"

struct backend_response;
struct relay;

struct relay_spec {
	const char *method;
	bool write;
	enum rate_class rate; /* RATE_TOOLS: it may take FORWARD_TOOL_MS */
	/*
	 * The body is in: looks at it and calls relay_send(), or answers with
	 * relay_refuse().
	 */
	void (*on_body)(struct relay *r, const uint8_t *body, size_t len);
	/* The backend answered (or not: r->error); before the script hears of
	 * it. May be NULL. */
	void (*on_answer)(struct relay *r, const struct backend_response *a);
	/* The reply tells what the request sent (PUT): mask that, instead of
	 * what the backend answered. */
	bool secret_in_request;
};

/* Answers 413 and 429 itself. key is copied; NULL for none. With
 * max_body_bytes 0 a body is not looked at. */
void relay_begin(struct request *req, const struct relay_spec *spec,
		 const char *key, uint64_t max_body_bytes);

/* At the end of the execution: who still waits is told so. */
void relay_free_reads(struct execution *x);
/* The same; writes, too, without their answer. */
void relay_free_all(struct execution *x);

/* Asks the backend; path as in forward.h. */
void relay_send(struct relay *r, const char *path, const void *body,
		size_t len);
void relay_refuse(struct relay *r, int status, const char *code,
		  const char *fmt, ...) PRINTF_LIKE(4, 5);

struct execution *relay_execution(const struct relay *r);
const struct http_request *relay_request(const struct relay *r);
const char *relay_key(const struct relay *r); /* "" for none */
/* A change of the key was heard of; NULL: of any. */
void relay_note_change(struct execution *x, const char *key, uint64_t version);
/* The newest such change since the relay began; 0 for none. */
uint64_t relay_change(const struct relay *r);
/* What relay_send() sent, for writing it through to the cache. */
const void *relay_sent(const struct relay *r, size_t *len);
