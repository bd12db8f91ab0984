/*
 * One call to the backend on behalf of a script: path, headers, deadline and
 * retries. Every call is idempotent as sent: reads by nature, writes by their
 * key, so that all of them may be repeated until the deadline.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"
#include "sidecar/reply.h"

struct backend_call;
struct backend_response;
struct execution;

#define FORWARD_READ_MS 10000
#define FORWARD_WRITE_MS 30000
#define FORWARD_TOOL_MS (10 * 60 * 1000)
/* A stale value is at hand: better that than to let the script wait. */
#define FORWARD_STALE_MS 1000
#define FORWARD_ATTEMPT_MS 5000
#define FORWARD_PATH_BYTES 1024
#define FORWARD_IDEMPOTENCY_KEY_BYTES 128

struct forward_request {
	const char *method;
	const char *path; /* below /v1/runtime, encoded, with query */
	const void *body; /* copied */
	size_t len;
	const char *trace; /* that it becomes a span of */
	/* Whose Idempotency-Key and If-Match are passed on; NULL for none. */
	const struct http_request *origin;
	uint32_t deadline_ms;
	bool write;
	/* The answer may take until the deadline: no attempt is cut short. */
	bool slow;
};

/* Embedded by value in what waits for the answer. */
struct forward {
	struct execution *execution;
	struct backend_call *call; /* NULL when nothing is under way */
	uint64_t started_us;
	/* Once; never from within forward_start(). */
	void (*on_done)(struct forward *f, const struct backend_response *r);
};

/* f->on_done is set before. 0 or -ENOMEM. */
int forward_start(struct forward *f, struct execution *x,
		  const struct forward_request *req) MUST_CHECK;
/* on_done is not called any more. */
void forward_cancel(struct forward *f);

/* "/variables/{key}SUFFIX" with the key percent-encoded, "" for no suffix. */
void forward_variable_path(char out[FORWARD_PATH_BYTES], const char *key,
			   const char *suffix);

/* The backend could not be asked: a problem document that says so. */
void forward_reply_error(struct reply *reply, const struct backend_response *r,
			 bool write);
/* The backend's answer as it is. */
void forward_reply(struct reply *reply, const struct backend_response *r,
		   const char *cache);
/* X-Cronium-Secret. */
bool forward_is_secret(const struct backend_response *r);
