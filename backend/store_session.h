/*
 * Sessions in the store: jobs that are held, let go and ended together. See
 * store.h for how operations work. A session is named by its id or its name;
 * of several of a name the one that has not ended is meant, else the newest.
 */
#pragma once

#include "backend/store.h"
#include "common/macro.h"

#define STORE_SESSIONS_MAX 1000 /* that have not ended */

struct store_session_new {
	const char *id; /* id_new(SESSION_ID_PREFIX, …) */
	const char *name;
	struct store_audit audit;
};
/* result->session. STORE_E_EXISTS: one of this name has not ended;
 * STORE_E_LIMIT: there are STORE_SESSIONS_MAX already. */
int store_session_new(struct store *s, const struct store_session_new *session,
		      struct store_done done) MUST_CHECK;

struct store_session_set {
	const char *session; /* id or name */
	enum session_state state;
	const char *reason; /* may be NULL */
	struct store_audit audit;
};
/*
 * Moves it to another state, and its jobs with it, all in one transaction:
 * paused, its queued jobs are held, and with active let go; ended, they are
 * cancelled, and those that are claimed or running are flagged, as
 * store_job_cancel() does. result->session; where it was in that state already
 * with result->repeated. STORE_E_NOT_FOUND; STORE_E_SESSION_ENDED with
 * result->session.
 */
int store_session_set(struct store *s, const struct store_session_set *set,
		      struct store_done done) MUST_CHECK;

/* result->session; STORE_E_NOT_FOUND. */
int store_session_get(struct store *s, const char *session,
		      struct store_done done) MUST_CHECK;

struct store_session_query {
	int state;          /* enum session_state, or -1 for all */
	const char *before; /* an id: only older ones; NULL: from the newest */
	size_t limit;       /* 1 … STORE_LIST_MAX */
};
/* result->sessions, newest first; STORE_E_NOT_FOUND: there is no such
 * before. */
int store_session_list(struct store *s, const struct store_session_query *query,
		       struct store_done done) MUST_CHECK;
