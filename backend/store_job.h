/* Jobs in the store; see store.h for how operations work. */
#pragma once

#include "backend/store.h"
#include "common/macro.h"

struct store_job_new {
	const char *id; /* id_new("job", …) */
	/* The same key with the same spec, script and input gives the first job
	 * (result->repeated); with others STORE_E_KEY_REUSED. Give the caller's
	 * identity in it where keys of callers may clash. NULL: none */
	const char *idempotency_key;
	const char *name, *runtime;
	const char *executor;    /* "auto" or the only one that may claim it */
	const char *want_agent;  /* the only agent that may claim it, or NULL */
	const char *want_labels; /* of its agent: agent_labels.h; or NULL */
	/* The execution that started it, or NULL. STORE_E_ENDED when it has
	 * ended, STORE_E_FAMILY when it has max_children already, when
	 * max_depth jobs would be above the new one, or when there are
	 * max_family below the topmost of those. */
	const char *parent;
	int64_t max_children, max_depth, max_family;
	bool bound; /* to its parent: cancelled when that has ended */
	const char *input_from; /* the job whose output stream is its input
				 * stream, or NULL; STORE_E_NOT_FOUND where
				 * there is no such job */
	bool input_stream;      /* false: its input stream is empty */
	const char *trace_id;   /* of everything that it does */
	const char *signature;  /* of the script: payload/sign.h */
	const char *host; /* NULL: none; STORE_E_HOST where it is unknown */
	/* Its id or name. NULL: that of its parent, or none. STORE_E_SESSION
	 * where it is unknown, STORE_E_SESSION_ENDED. */
	const char *session;
	bool no_wait;
	struct store_retry retry;
	struct store_blob spec, script, input, labels;
	int64_t max_queued; /* STORE_E_LIMIT when as many wait; 0: no limit */
	struct store_audit audit;
};
/* result->job */
int store_job_submit(struct store *s, const struct store_job_new *job,
		     struct store_done done) MUST_CHECK;

/* result->job, or STORE_E_NOT_FOUND */
int store_job_get(struct store *s, const char *job,
		  struct store_done done) MUST_CHECK;

struct store_job_query {
	int state;           /* enum job_state, or -1 for all */
	const char *session; /* only its jobs; id or name, NULL: all */
	const char *before;  /* a job: only older ones; NULL: from the newest */
	size_t limit;        /* 1 … STORE_LIST_MAX */
};
/* result->jobs, newest first; STORE_E_NOT_FOUND: there is no such before, or
 * no such session */
int store_job_list(struct store *s, const struct store_job_query *query,
		   struct store_done done) MUST_CHECK;

/* result->counts */
int store_job_count(struct store *s, struct store_done done) MUST_CHECK;

enum store_payload {
	STORE_SCRIPT = 1,
	STORE_INPUT = 2,
	STORE_OUTPUT = 3,
};
/* result->blob; STORE_E_NOT_FOUND: no such job, or it has none of this kind
 * (result->job.id is NULL in the first case) */
int store_job_read(struct store *s, const char *job, enum store_payload kind,
		   struct store_done done) MUST_CHECK;

struct store_job_cancel {
	const char *job;
	const char *reason; /* may be NULL */
	struct store_audit audit;
};
/*
 * A queued job is cancelled at once; a claimed or running one is flagged and
 * its agent has to end it (result->job says which execution and agent).
 * result->job; STORE_E_NOT_FOUND; STORE_E_ENDED with result->job.
 */
int store_job_cancel(struct store *s, const struct store_job_cancel *cancel,
		     struct store_done done) MUST_CHECK;

/*
 * Cancels the jobs that are bound to an execution that has ended, as
 * store_job_cancel() does: result->jobs, at most STORE_LIST_MAX (call again
 * when it is that many).
 */
int store_job_cancel_orphans(struct store *s,
			     struct store_done done) MUST_CHECK;
