/* Tool actions in the store; see store.h for how operations work. */
#pragma once

#include "backend/store.h"
#include "common/macro.h"

struct store_tool_begin {
	const char *execution, *idempotency_key;
	struct store_blob request; /* what is done; only its digest is kept */
	struct store_audit audit;
};
/*
 * Notes that the action is about to be done. result->tool: status 0 when this
 * is the first time; with result->repeated what came of it before, or status
 * 0 where nobody knows: whoever had begun it was never heard of again.
 * STORE_E_ENDED, STORE_E_NOT_FOUND, STORE_E_KEY_REUSED.
 */
int store_tool_begin(struct store *s, const struct store_tool_begin *begin,
		     struct store_done done) MUST_CHECK;

struct store_tool_finish {
	const char *execution, *idempotency_key;
	int status; /* of the reply; 0: nothing was done, begin it again */
	struct store_blob reply;
	struct store_audit audit;
};
/* Notes what came of it, until the execution ends. The first outcome stays;
 * that there is nothing to note any more is no failure. */
int store_tool_finish(struct store *s, const struct store_tool_finish *finish,
		      struct store_done done) MUST_CHECK;
