/*
 * What the backend is told of one execution, in order: that the script has
 * started, its log, its end. The log is masked on the way; the end waits for
 * the log.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/frame.h"
#include "common/macro.h"
#include "orchestrator/log_forward.h"

struct assignment;
struct backend_client;
struct event_base;
struct outcome;
struct record;

struct record_ops {
	/* Back-pressure: no output until on_room. */
	void (*on_full)(void *ctx);
	void (*on_room)(void *ctx);
	/* As log_forward_ops: what is about to be sent, what is safe. */
	void (*on_upload)(void *ctx, const struct log_point *from,
			  const struct log_point *to);
	void (*on_taken)(void *ctx, const struct log_position *at);
	/* After record_resume(). */
	void (*on_resumed)(void *ctx);
	/* record_started() is committed; not once the end is told. */
	void (*on_started)(void *ctx);
	/* The end (or the release) was accepted. */
	void (*on_ended)(void *ctx);
	/* The execution is not ours any more; nothing follows. */
	void (*on_refused)(void *ctx, const char *why);
};

/* a must outlive the record; its tokens are secrets from the start. 0 or
 * -ENOMEM. */
int record_new(struct record **out, struct event_base *base,
	       struct backend_client *client, const struct assignment *a,
	       const struct record_ops *ops, void *ctx) MUST_CHECK;
/* What was not sent is dropped. NULL is fine. Fine inside its callbacks. */
void record_free(struct record *r);

/* 0 or -ENOMEM. No callback is made from within, but on_full. */
int record_started(struct record *r, const char *pod,
		   const char *executor) MUST_CHECK;
int record_output(struct record *r, enum frame_type type, const void *data,
		  size_t len) MUST_CHECK;
/* A line of the runner's own, len bytes, shown as line. 0 or -ENOMEM. */
int record_runner_notice(struct record *r, const char *line,
			 size_t len) MUST_CHECK;
/* A line of Cronium's own; one that does not fit in memory is left out. */
void record_notice(struct record *r, const char *line);
/*
 * value is about to be told to the script: masked from here on. False when
 * that cannot be, so that it must not be told. Values too short to be masked
 * may be told; the log says so once.
 */
bool record_secret(struct record *r, const void *value, size_t len) MUST_CHECK;

/* Takes up what another process recorded: log_forward_resume(). 0 or -ENOMEM.
 */
int record_resume(struct record *r, const struct log_point *from,
		  const struct log_point *to) MUST_CHECK;
/* A token of the execution's, which its log must not show. 0 or -ENOMEM. */
int record_mask_token(struct record *r, const char *token) MUST_CHECK;

/* No more output; what is left of the log goes out. */
void record_finish_log(struct record *r);
/* The end, told once the log is committed: after record_finish_log(). */
int record_end(struct record *r, const struct outcome *outcome) MUST_CHECK;
/* The other end: the claim is given back. Only when the runner was never told
 * what to run. */
int record_release(struct record *r, const char *reason) MUST_CHECK;
