/*
 * GET /variables/{key}/watch: the changes of one variable as server-sent
 * events, from one stream of changes of the backend for each.
 *
 *   ASKING ──▶ OPEN ◀──▶ MASKING ──▶ (freed)
 *      │        └──────────────────────▲ ▲
 *      └── refused by the backend ───────┘
 *
 * ASKING:  the backend has not answered, the reply was not begun.
 * OPEN:    events are told as they come, no faster than the script reads.
 * MASKING: the next event tells a secret and waits until that is registered
 *          for redaction; the stream is held meanwhile. A watch that the script
 *          leaves in this state is freed once the orchestrator has answered.
 *
 * It ends with the execution.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macro.h"

struct change;
struct execution;
struct request;

#define WATCH_MAX 64 /* of one execution */
#define WATCH_COMMENT_MS 15000
#define WATCH_MASK_RETRY_MS 1000 /* the orchestrator could not be told */

/* key was checked: the script may read it. Answers 400 and 429 itself. */
void watch_begin(struct request *req, const char *key);

/* The execution ends: the replies end as they should. */
void watch_end_all(struct execution *x);
/* Afterwards, when no reply can be sent any more. */
void watch_free_all(struct execution *x);

/* --- the events, pure --- */

/* name: "snapshot" …; for a deletion see ARCHITECTURE.md. 0 or -ENOMEM. */
int watch_append_event(struct buf *out, const char *name, const char *key,
		       const struct change *c) MUST_CHECK;
/* "disconnected" */
int watch_append_lost(struct buf *out, const char *why) MUST_CHECK;
/* A version as Last-Event-ID and ?from= have it; -1 where text is NULL or
 * empty. 0 or -EINVAL. */
int watch_parse_version(const char *text, int64_t *out) MUST_CHECK;
