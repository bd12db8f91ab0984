/* What the operations on jobs need of sessions. */
#pragma once

#include "backend/store_job.h"
#include "backend/store_sql.h"

struct sql_membership {
	int64_t seq; /* of the session; 0: none */
	bool held;   /* it is paused */
};
/* Counts a new job in the session that it names, or in that of its parent. 0,
 * STORE_E_SESSION, STORE_E_SESSION_ENDED, or negative errno. */
int sql_session_join(struct db *db, struct store_call *call,
		     const struct store_job_new *new,
		     struct sql_membership *out) MUST_CHECK;

/* The state, which nobody changes before this transaction has ended. */
int sql_session_state(struct db *db, int64_t seq,
		      enum session_state *out) MUST_CHECK;

/* By id or name: 0, STORE_E_NOT_FOUND with a message, or negative errno. */
int sql_session_find(struct db *db, struct store_call *call, const char *ref,
		     int64_t *seq) MUST_CHECK;
