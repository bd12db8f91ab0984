/*
 * The runner's line to its orchestrator: a control stream, and, where the line
 * is kept, another one when that has ended.
 *
 *   OPEN ──▶ AWAY ──▶ KNOCKING ──▶ OPEN
 *     │        ▲─────────┘ │
 *     │        └───────────┴──▶ LOST: nobody took us up within keep_ms
 *     └──▶ LOST: the stream ended, and the line is not kept
 *
 * AWAY      no stream; another one is tried
 * KNOCKING  connected again, READY was sent, RESUME is awaited
 *
 * Before it has an assignment a line comes back as if it were new, AWAY ─▶
 * OPEN, so that an orchestrator that died before it could assign anything
 * leaves a successor that knows that nothing was begun.
 *
 * A kept line remembers what is not TAKEN yet, and says it again after RESUME:
 * STARTED, the log, EXIT. Callbacks run from the loop only.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "common/frame.h"
#include "common/macro.h"

/* Without an assignment: an orchestrator that is restarted is back sooner. */
#define LINE_UNASSIGNED_MS 20000

struct event_base;
struct line;
struct sockaddr_un;

struct line_ops {
	/* All but what is the line's own: RESUME and TAKEN. */
	void (*on_frame)(const struct frame *f, void *ctx);
	/* There may be room again, or the line is AWAY. */
	void (*on_room)(void *ctx);
	/* Once, the last call: LOST, with a reason for a log. */
	void (*on_lost)(const char *reason, void *ctx);
};

/* Takes fd, also on error, and says READY. again: where to connect when it is
 * lost, copied; NULL: nowhere, and no line is ever kept. 0 or negative errno.
 */
int line_new(struct line **out, struct event_base *base, int fd,
	     const struct sockaddr_un *again, const struct line_ops *ops,
	     void *ctx) MUST_CHECK;
/* NULL is fine. */
void line_free(struct line *l);

/* From now on the line is kept; where keep_ms is 0, it is not. The strings are
 * copied; token may be "". 0 or -ENOMEM. */
int line_keep(struct line *l, uint64_t keep_ms, const char *execution,
	      const char *token) MUST_CHECK;
bool line_is_away(const struct line *l);

/*
 * STDOUT, STDERR or NOTICE. Of output no more than line_room() at once. 0,
 * -ENOMEM, or -EPIPE where the stream broke and the line is not kept.
 */
int line_log(struct line *l, enum frame_type type, const void *data,
	     size_t len) MUST_CHECK;
/* 0: nothing is to be read from the script before on_room. */
size_t line_room(const struct line *l);

/* STARTED, said before the log that follows, and the payload of EXIT, said
 * after all of it. Each once. As line_log(). */
int line_started(struct line *l, pid_t pid) MUST_CHECK;
int line_exit(struct line *l, const void *json, size_t len) MUST_CHECK;
/* USAGE: told now or not at all. */
void line_usage(struct line *l, const void *json, size_t len);
