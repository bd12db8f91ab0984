/* What tool_call*.c share. */
#pragma once

#include <sys/queue.h>
#include <uthash.h>

#include "backend/api.h"
#include "backend/tool_call.h"
#include "backend/tool_file.h"
#include "backend/tool_mail.h"
#include "backend/tool_reply.h"
#include "backend/tools.h"
#include "common/id.h"

enum tool_call_state {
	TOOL_CALL_LOADING,
	TOOL_CALL_CREDENTIALS,
	TOOL_CALL_BEGINNING,
	TOOL_CALL_SENDING,
	TOOL_CALL_PAUSED,
	TOOL_CALL_FINISHING,
	TOOL_CALL_ENDED,
};

/* An API call that waits; gone when that is. */
struct tool_waiter {
	struct api_call *api;
	struct tool_call *call;
	LIST_ENTRY(tool_waiter) entry;
};

#define TOOL_CALL_KEY_BYTES (ID_MAX_BYTES + API_IDEMPOTENCY_KEY_MAX_BYTES + 2)
#define TOOL_CALL_TARGET_BYTES (2 * TOOL_NAME_MAX_BYTES + 2)

struct tool_call {
	LIST_ENTRY(tool_call) entry; /* in tools.calls */
	struct tools *tools;
	enum tool_call_state state;
	struct tool_entry *tool;
	const struct tool_action *action;
	char target[TOOL_CALL_TARGET_BYTES]; /* "slack/send-message" */
	bool dry_run;

	/* Who asks. */
	char who[64], trace_id[TRACE_BYTES];
	struct live_token *token;      /* NULL: an administrator */
	char key[TOOL_CALL_KEY_BYTES]; /* EXECUTION, newline, key; "": none */
	/* Given, or made: the same for every try. */
	char idempotency_key[API_IDEMPOTENCY_KEY_MAX_BYTES + 1];
	struct buf identity; /* what is asked for: a key is for this alone */
	LIST_HEAD(, tool_waiter) waiters;
	size_t n_waiters;
	UT_hash_handle hh; /* in tools.by_key */

	/* What it takes. */
	json_t *params, *credentials, *context;
	struct buf params_text; /* instead of params once it is sent */
	size_t next_credential;
	struct tool_mask *mask;
	struct tool_rendered *rendered;
	char message_id[TOOL_MAIL_ID_BYTES];

	/* What happens. */
	struct store_owner owner;
	struct tool_send *send;
	struct event *timer;
	uint64_t first_try_ms;
	unsigned int tries;
	struct tool_reply reply;
};

/* False for a call whose outcome nobody can ask for again. */
static inline bool tool_call_is_recorded(const struct tool_call *c)
{
	return *c->key;
}

void tool_call_set_state(struct tool_call *c, enum tool_call_state state);
/* With reply filled in: to those who wait. Frees it. */
void tool_call_end(struct tool_call *c);
/* The same after a problem; members as tool_reply_problem(). */
void tool_call_refuse(struct tool_call *c, int status, const char *code,
		      const json_t *members, const char *fmt, ...)
	PRINTF_LIKE(5, 6);
/* For what the store said, before anything was sent. */
void tool_call_store_failed(struct tool_call *c, int r,
			    const struct store_result *result);

/* tool_call_prepare.c: from LOADING to what can be sent. */
void tool_call_load(struct tool_call *c);
/* tool_call_run.c: from BEGINNING on. */
void tool_call_begin(struct tool_call *c);
/* PAUSED, and the backend stops. */
void tool_call_give_up(struct tool_call *c);
