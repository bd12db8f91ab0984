/* What executions have in the store beside variables and streams; see store.h
 * for how operations work. */
#pragma once

#include "backend/store.h"
#include "common/macro.h"

/* The job of an execution: result->job as seen by this execution.
 * STORE_E_NOT_FOUND; STORE_E_ENDED with result->job when the execution is
 * neither claimed nor running any more: its tokens are worth nothing. */
int store_execution_get(struct store *s, const char *execution,
			struct store_done done) MUST_CHECK;

struct store_output_set {
	struct store_blob value;    /* one JSON value; the last one wins */
	struct store_writer writer; /* with an execution */
	struct store_audit audit;
};
/* STORE_E_ENDED, STORE_E_NOT_FOUND, STORE_E_KEY_REUSED. */
int store_output_set(struct store *s, const struct store_output_set *set,
		     struct store_done done) MUST_CHECK;

struct store_condition_set {
	bool value;
	struct store_writer writer; /* with an execution */
	struct store_audit audit;
};
/* As store_output_set(). */
int store_condition_set(struct store *s, const struct store_condition_set *set,
			struct store_done done) MUST_CHECK;
/* result->condition; STORE_E_NOT_FOUND: no such execution, or never set. */
int store_condition_get(struct store *s, const char *execution,
			struct store_done done) MUST_CHECK;
