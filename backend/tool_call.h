/*
 * One tool action, from its parameters to its reply.
 *
 *     LOADING ─▶ CREDENTIALS ─▶ BEGINNING ─▶ SENDING ─▶ FINISHING ─▶ ENDED
 *        │            │             │         │   ▲         ▲          ▲
 *        │            │             │         ▼   │         │          │
 *        │            │             │        PAUSED ────────┘          │
 *        └────────────┴─────────────┴─────────────┴────────────────────┘
 *
 * LOADING reads the caller's job, CREDENTIALS the secrets. What is refused by
 * then, a dry run, and what came of it before, ends at once. BEGINNING and
 * FINISHING write to the store, where there is an Idempotency-Key; PAUSED waits
 * before another try. When the backend stops, what is PAUSED ends.
 *
 * A call does not end with those who wait for it: what was begun is finished,
 * and its outcome kept for whoever asks again with the same key. Who asks
 * meanwhile waits as well.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/macro.h"

#define TOOL_CALL_WAITERS_MAX 16 /* who wait for the same call */

struct api_call;
struct tool_action;
struct tool_entry;
struct tools;

struct tool_call_request {
	struct tool_entry *entry;
	const struct tool_action *action;
	const json_t *given;         /* as they came: what a key is for */
	json_t *params;              /* checked and filled in */
	const char *idempotency_key; /* or NULL */
	bool dry_run;
};

/* Answers the API call, now or later; its state and on_end are ours. */
void tool_call_start(struct tools *t, struct api_call *api,
		     const struct tool_call_request *request);

/* For tools.c. */
void tool_call_stop_waiting(struct tools *t);
void tool_call_drop_all(struct tools *t);
