/*
 * What a session may be:
 *
 *   active ⇄ paused
 *     └────────┴────▶ ended
 *
 * Paused: its queued jobs are held, what runs goes on. Ended: what waits is
 * cancelled, what runs is told to stop, no job is taken; it never changes
 * again. Pure.
 */
#pragma once

#include <stdbool.h>

#include "common/macro.h"

enum session_state { /* numbers as in the database */
		     SESSION_ACTIVE,
		     SESSION_PAUSED,
		     SESSION_ENDED,
		     SESSION_STATES, /* how many there are */
};

#define SESSION_NAME_MAX_BYTES 64
#define SESSION_REASON_MAX_BYTES 512 /* of what people give */
#define SESSION_END_REASON_BYTES \
	(SESSION_NAME_MAX_BYTES + SESSION_REASON_MAX_BYTES + 64)
#define SESSION_ID_PREFIX "ses"
#define SESSION_NAME_RULE                                               \
	"1 to 64 letters, digits, . _ -, the first no . or -, and not " \
	"beginning with \"ses_\""

/* "active" …, as the API spells it. */
const char *session_state_name(enum session_state s);
/* 0 or -EINVAL. */
int session_state_parse(const char *name, enum session_state *out) MUST_CHECK;

/* SESSION_NAME_RULE; no name looks like an id. */
bool session_name_valid(const char *name);
/* A name or an id. */
bool session_ref_valid(const char *ref);

/* Why its jobs are cancelled: "its session batch was ended: REASON"; reason
 * may be NULL. */
void session_end_reason(const char *name, const char *reason,
			char out[SESSION_END_REASON_BYTES]);
