/*
 * The log of one execution on its way to the backend: masked, in order,
 * complete to the last byte, with bounded memory. One upload is under way at a
 * time; it is repeated with its offset until the backend has committed it.
 *
 * Once the backend says that the log is full, the rest is only counted, so
 * that a script that writes without end is not held up.
 *
 * It may be taken up by another process: what that needs is a log_point, and
 * the runner's streams from there on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/frame.h"
#include "common/macro.h"
#include "orchestrator/log_queue.h"

struct backend_client;
struct event_base;
struct log_forward;
struct redactor;

/* What waits may grow to the first before on_full, and must fall below the
 * second before on_room. */
#define LOG_FORWARD_HIGH_WATER_BYTES (1024 * 1024)
#define LOG_FORWARD_LOW_WATER_BYTES (256 * 1024)
#define LOG_FORWARD_BATCH_BYTES (256 * 1024)
/* After an upload the next one waits this long, to carry more. */
#define LOG_FORWARD_BATCH_MS 20

/* What the backend has, and which part of the runner's streams that is. */
struct log_point {
	uint64_t offset; /* payload bytes of the log */
	struct log_position at;
	bool full;        /* it takes no more: the rest is counted only */
	uint64_t dropped; /* what log_forward_dropped() was */
};

struct log_forward_ops {
	/* Too much waits: stop writing until on_room. May be called from
	 * within log_forward_write(). */
	void (*on_full)(void *ctx);
	void (*on_room)(void *ctx);
	/* The next upload goes from one point, which the backend has, to the
	 * other: after a crash it has either. May be called from within
	 * log_forward_write(), as may on_taken. */
	void (*on_upload)(void *ctx, const struct log_point *from,
			  const struct log_point *to);
	/* Everything up to there is safe; never further than the first point
	 * of the last on_upload. */
	void (*on_taken)(void *ctx, const struct log_position *at);
	/* log_forward_resume(): what the runner says may be written. */
	void (*on_resumed)(void *ctx);
	/* After log_forward_finish(): all is committed. */
	void (*on_flushed)(void *ctx);
	/* The execution is not ours any more; nothing follows. */
	void (*on_refused)(void *ctx, const char *why);
};

struct log_forward_config {
	struct event_base *base;
	struct backend_client *client;
	struct redactor *redactor; /* must outlive the log */
	const char *execution;     /* the same */
	const char *trace;         /* the same; may be NULL */
	int64_t epoch;
};

/* 0 or -ENOMEM. */
int log_forward_new(struct log_forward **out,
		    const struct log_forward_config *config,
		    const struct log_forward_ops *ops, void *ctx) MUST_CHECK;
/* Drops what waits. NULL is fine. Fine inside its callbacks. */
void log_forward_free(struct log_forward *l);

/*
 * Takes up the log of another process, before anything is written: asks the
 * backend which of the two points it has; on_resumed or on_refused follows.
 * What is then written begins at the first point, whatever the answer was.
 * Notices of our own may be written meanwhile. 0 or -ENOMEM.
 */
int log_forward_resume(struct log_forward *l, const struct log_point *from,
		       const struct log_point *to) MUST_CHECK;

/* Output of the script: FRAME_STDOUT or FRAME_STDERR. 0 or -ENOMEM. */
int log_forward_write(struct log_forward *l, enum frame_type type,
		      const void *data, size_t len) MUST_CHECK;
/* A notice of the runner's, len bytes, which is shown as line; its newline is
 * appended. 0 or -ENOMEM. */
int log_forward_runner_notice(struct log_forward *l, const char *line,
			      size_t len) MUST_CHECK;
/* A line that Cronium adds; its newline is appended. 0 or -ENOMEM. */
int log_forward_notice(struct log_forward *l, const char *line) MUST_CHECK;
/* Nothing more will be written; on_flushed follows, never from within. 0 or
 * -ENOMEM. */
int log_forward_finish(struct log_forward *l) MUST_CHECK;

/* Payload bytes that the full log did not take. */
uint64_t log_forward_dropped(const struct log_forward *l);
