/*
 * Keeps a call's credentials out of what comes back: in texts, and in JSON
 * trees, which stay what they are. All forms that common/redact.h knows. Pure.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/macro.h"

struct tool_mask;

int tool_mask_new(struct tool_mask **out) MUST_CHECK;
void tool_mask_free(struct tool_mask *m);

/* value: as the store has it, one JSON value. 0 or negative errno. */
int tool_mask_add(struct tool_mask *m, const void *value,
		  size_t len) MUST_CHECK;

/* Appends the text without secrets. 0 or -ENOMEM. */
int tool_mask_text(struct tool_mask *m, const char *text, size_t len,
		   struct buf *out) MUST_CHECK;
/* A copy without secrets (json_decref); NULL: out of memory. A number that
 * holds one becomes a string. */
json_t *tool_mask_json(struct tool_mask *m, const json_t *value);
