/*
 * What a tool action is answered with: a JSON value, or a problem document
 * with members of its own. Pure.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/macro.h"

#define TOOL_REPLY_DETAIL_BYTES 4096

/* Zero-initialised: there is none yet. */
struct tool_reply {
	int status;
	const char *code; /* of the problem, static; "ok" for a value */
	struct buf body;
};

/* Overwrites what it frees. */
void tool_reply_deinit(struct tool_reply *r);

/* Both replace what was there; out of memory: an empty 503. */
void tool_reply_value(struct tool_reply *r, const json_t *value);
/* members: more of the document, borrowed, or NULL. code: static. */
void tool_reply_problem(struct tool_reply *r, int status, const char *code,
			const char *trace_id, const json_t *members,
			const char *fmt, ...) PRINTF_LIKE(6, 7);
/* As it was stored: status and body. */
void tool_reply_stored(struct tool_reply *r, int status, const void *body,
		       size_t len);
