/*
 * Appends records to the execution's output stream, one batch after the other:
 * each is repeated, with its number or key, until the backend has said what
 * became of it, or was lost for STREAM_LOST_MS. A stream that is full is no
 * loss: the batch waits for as long as it takes.
 *
 *   IDLE ──▶ CALLING ──▶ IDLE (on_done)
 *              │  ▲
 *              ▼  │
 *            WAITING
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/id.h"
#include "common/macro.h"
#include "sidecar/stream_call.h"
#include "sidecar/stream_retry.h"

struct backend_call;
struct backend_response;
struct execution;

/* Of one attempt: the backend waits 10 s for room. */
#define STREAM_APPEND_ATTEMPT_MS 30000

enum stream_append_state {
	STREAM_APPEND_IDLE,
	STREAM_APPEND_CALLING,
	STREAM_APPEND_WAITING,
};

struct stream_batch {
	bool numbered; /* from: the number of the first record */
	uint64_t from;
	bool end; /* the stream ends after it */
	/* Without a number; NULL: one is made up. Copied. */
	const char *key;
};

/* Embedded by value; zero-initialise. */
struct stream_append {
	enum stream_append_state state;
	struct execution *execution;
	char trace[TRACE_BYTES];
	struct buf lines; /* whole lines */
	struct stream_batch batch;
	char key[STREAM_KEY_BYTES];
	struct backend_call *call;
	uint64_t started_us; /* of the attempt */
	struct stream_retry retry;
	/* From the loop. r is the backend's last word, or error. */
	void (*on_done)(struct stream_append *a,
			const struct backend_response *r);
};

/* on_done is set before. 0 or -ENOMEM. */
int stream_append_init(struct stream_append *a, struct execution *x,
		       const char *trace) MUST_CHECK;
/* on_done is not called any more. */
void stream_append_deinit(struct stream_append *a);

/* While it is idle. Takes the content of lines, which is empty afterwards (but
 * may have room). */
void stream_append_send(struct stream_append *a, struct buf *lines,
			const struct stream_batch *batch);
bool stream_append_busy(const struct stream_append *a);
