/*
 * The store: everything of the backend that outlives a restart. This header
 * and store_{admin,host,no_wait,session,tool}.h are what the API and the queue see,
 * store_record.h what they get back, and store_call.h what an implementation
 * (store_sql.h) sees.
 *
 * Every operation is asynchronous. It copies its request in, is queued, and
 * never waits for the disk in the caller's thread:
 *
 *     loop ──▶ writer thread: takes all that is queued, one transaction with
 *      ▲  │      a savepoint for each operation, one commit (fsync)
 *      │  └──▶ reader thread: its own connection, a snapshot of what is
 *      │         committed
 *      └─────── completions, through an eventfd
 *
 * - done.fn is called exactly once, in the loop thread, never from within the
 *   function that started the operation; for a write, after its commit. What
 *   was acknowledged is on disk.
 * - Writes happen in the order in which they were started. A read sees every
 *   write whose completion was delivered before the read was started; it may
 *   or may not see one that is still under way.
 * - The result and all it points to are valid during the callback only.
 * - Functions return 0, or without ever calling done.fn -ENOMEM or -EAGAIN
 *   (the queue is full: STORE_QUEUE_*; tell the client 503).
 * - In the callback r is 0; a positive STORE_E_* outcome; or a negative errno:
 *   -ENOSPC (disk full), -EROFS, -EIO (the database is damaged or the disk
 *   fails), -ENOMEM. result->message is then a sentence for people. A failed
 *   or refused operation has changed nothing.
 *
 * Strings are NUL-terminated. Times are milliseconds since the Unix epoch, 0
 * for "not yet". Sizes of values are the caller's to limit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "backend/job_state.h"
#include "backend/store_record.h"
#include "common/macro.h"

#define STORE_QUEUE_MAX_CALLS 65536
#define STORE_QUEUE_MAX_BYTES (256 * 1024 * 1024)
#define STORE_LIST_MAX 1000      /* rows of one list reply */
#define STORE_HEARTBEAT_MAX 4096 /* executions in one heartbeat */
#define STORE_LOG_READ_MAX_BYTES (1024 * 1024)
#define STORE_CHANGES_MAX 4096 /* of variables that are remembered */
#define STORE_CHANGE_VALUE_MAX_BYTES (32 * 1024) /* larger: not kept twice */
#define STORE_STREAM_READ_MAX_BYTES (1024 * 1024 + 1) /* one big append */
#define STORE_STREAM_SWEEP_BYTES (4 * 1024 * 1024)    /* in one transaction */
#define STORE_STREAM_SWEEP_ROWS 1000

struct buf;
struct event_base;
struct store;
struct store_call;
struct vault;

/* Outcomes, for the direct caller to handle. */
enum {
	STORE_E_NOT_FOUND = 1,
	STORE_E_EXISTS,      /* STORE_EXPECT_ABSENT, but it is there */
	STORE_E_CONFLICT,    /* another version than the expected one */
	STORE_E_STALE_EPOCH, /* a later claim, or the lease ran out */
	STORE_E_ENDED,       /* the job or execution has ended */
	STORE_E_LIMIT,       /* no room: a limit given with the request */
	STORE_E_LOG_GAP,    /* result->log_append.next is the expected offset */
	STORE_E_TYPE,       /* increment of what is not a number */
	STORE_E_RANGE,      /* increment past 64 bits, or not finite */
	STORE_E_KEY_REUSED, /* Idempotency-Key of a different request */
	STORE_E_STATE,      /* the job's state does not allow it */
	STORE_E_STREAM_GAP, /* records are missing before that number */
	STORE_E_STREAM_ENDED, /* nothing more can be appended */
	STORE_E_FAMILY,       /* too many jobs of one execution, or too deep */
	STORE_E_HOST,         /* a job names a host that is not registered */
	STORE_E_SESSION,      /* a job names a session that is not there */
	STORE_E_SESSION_ENDED,
};

/* "not_found" …: the name of an outcome, as in problem documents. */
const char *store_outcome_name(int e);

/*
 * Who waits for completions, e.g. one HTTP exchange; embedded by value,
 * zero-initialised. When it goes away, store_owner_cancel() makes sure that
 * none of its callbacks runs any more. Writes are carried out all the same;
 * reads that have not begun are skipped.
 */
struct store_owner {
	LIST_HEAD(store_owner_calls, store_call) calls;
};

void store_owner_cancel(struct store_owner *owner);

struct store_done {
	struct store_owner *owner; /* NULL: cannot be cancelled */
	/* NULL: nobody wants to know. */
	void (*fn)(int r, const struct store_result *result, void *ctx);
	void *ctx;
};

/* ------------------------------------------------------------- the store */

struct store_config {
	const char *data_dir;      /* exists, and is locked: data_dir.h */
	const char *url;           /* store_url.h; NULL: DATA/cronium.db */
	const struct vault *vault; /* outlives the store */
	/* Signs the scripts of a data directory from before there were
	 * signatures, while it is opened: appends to out. NULL: nobody does. */
	int (*sign)(const void *signer, const void *script, size_t len,
		    struct buf *out);
	const void *signer;
};

/*
 * Opens the database (a file: 0600), brings its schema up to date and starts
 * the threads. Blocks: call it before the loop runs. On failure a negative errno
 * and a sentence in err; -EKEYREJECTED when the vault's key is not the one
 * that the stored secrets were encrypted with.
 */
int store_open(struct store **out, struct event_base *base,
	       const struct store_config *config, char *err,
	       size_t err_size) MUST_CHECK;
/* Blocks until what is queued is committed; callbacks do not run any more.
 * NULL is fine. */
void store_close(struct store *s);

/* The time by which leases and waits are kept, in ms since the Unix epoch: that
 * of all who use this database, whatever is done to this machine's clock. */
int64_t store_now_ms(const struct store *s);
/* Other backends may use the same. */
bool store_is_shared(const struct store *s);

/* Who writes on behalf of a script. */
struct store_writer {
	const char *execution; /* NULL: an administrator. Otherwise the write
				* is refused with STORE_E_ENDED unless it is
				* claimed or running */
	const char *idempotency_key; /* of this execution; may be NULL. The
				      * first success is repeated, with
				      * result->repeated */
};

/* ------------------------------------------------------------------- jobs */

struct store_job_new {
	const char *id; /* id_new("job", …) */
	/* The same key with the same spec, script and input gives the first
	 * job (result->repeated); with others STORE_E_KEY_REUSED. Give the
	 * caller's identity in it where keys of callers may clash. NULL: none */
	const char *idempotency_key;
	const char *name, *runtime;
	const char *executor;   /* "auto" or the only one that may claim it */
	const char *want_agent; /* the only agent that may claim it, or NULL */
	const char
		*want_labels; /* that its agent has: agent_labels.h; or NULL */
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

/* ------------------------------------------------------------------ queue */

struct store_claim {
	const char *execution; /* id_new("ex", …) for the new execution */
	const char *agent;
	const char *executors; /* "docker,sandbox"; "auto" jobs always match */
	const char *labels;    /* of the agent, normal form; NULL: none */
	int64_t lease_ms;
};
/*
 * Claims the queued job whose turn it is of those that match: result->claim.
 * STORE_E_NOT_FOUND when none does, or when the agent is drained or accepts
 * nothing (store_agent.h). A claim whose completion nobody hears is undone by
 * its lease.
 */
int store_queue_claim(struct store *s, const struct store_claim *claim,
		      struct store_done done) MUST_CHECK;

struct store_lease {
	const char *execution;
	int64_t epoch;
};

struct store_give_back {
	struct store_lease lease;
	bool unbegun; /* its agent knows that nothing of it was run, although
		       * it was told to be started */
};
/* A claimed job that was not begun goes back to the queue, at its old
 * place; one whose cancel was requested is cancelled. result->job;
 * STORE_E_STALE_EPOCH; STORE_E_STATE once it was started. */
int store_queue_give_back(struct store *s, const struct store_give_back *give,
			  struct store_done done) MUST_CHECK;

struct store_started {
	struct store_lease lease;
	const char *pod, *executor;
};
/* claimed → running; repeating it is fine. result->job;
 * STORE_E_STALE_EPOCH. */
int store_queue_started(struct store *s, const struct store_started *started,
			struct store_done done) MUST_CHECK;

/* How an agent is, as it said itself. */
struct store_agent_status {
	bool given; /* false: it said nothing of it */
	bool accepting;
	const char *code, *problem;       /* why it accepts nothing, or NULL */
	struct store_blob snapshot, pods; /* JSON, or none */
};

struct store_heartbeat {
	const char *agent;
	const struct store_lease *leases;
	size_t n; /* <= STORE_HEARTBEAT_MAX */
	int64_t lease_ms;
	struct store_agent_status status;
};
/* Keeps the agent's status, and extends the leases to now + lease_ms. result->heartbeat: what the agent has
 * to stop. */
int store_queue_heartbeat(struct store *s,
			  const struct store_heartbeat *heartbeat,
			  struct store_done done) MUST_CHECK;

struct store_complete {
	struct store_lease lease;
	enum job_state state; /* an end state; lost, of what was not started:
			       * as store_queue_give_back() */
	const char *reason;   /* may be NULL */
	bool has_exit_code;
	int exit_code;
	int signal;
	bool oom_killed;
	struct store_usage usage;
	struct store_blob telemetry; /* JSON object, or none */
	int64_t log_dropped_bytes;   /* that the agent did not send, because the
				    * log was full: added to the job's */
	struct store_audit audit;
};
/* result->job, which is queued again where it is to be retried; a repeat with
 * the same epoch is 0 with result->repeated and the job as it is;
 * STORE_E_STALE_EPOCH. */
int store_queue_complete(struct store *s, const struct store_complete *complete,
			 struct store_done done) MUST_CHECK;

/*
 * Ends the leases that ran out before now_ms: not started → queued (or
 * cancelled, where that was requested), started → lost, or queued where it is
 * to be retried. result->jobs: the
 * jobs concerned, at most STORE_LIST_MAX (call again when it is that many),
 * with result->next_ms: when the next lease runs out, 0 for none.
 */
int store_queue_expire(struct store *s, int64_t now_ms,
		       struct store_done done) MUST_CHECK;

/*
 * Lets the jobs be claimed that had to wait until now_ms for their next try.
 * result->jobs, and result->next_ms, as store_queue_expire().
 */
int store_queue_due(struct store *s, int64_t now_ms,
		    struct store_done done) MUST_CHECK;

/* After a restart: gives every lease that is out lease_ms from now, so that agents can come back before store_queue_expire() ends them. */
int store_queue_grace(struct store *s, int64_t lease_ms,
		      struct store_done done) MUST_CHECK;

/* The same of an agent that has started again, and has nothing but these: the
 * next store_queue_expire() ends its other leases. */
int store_queue_recover(struct store *s, const struct store_heartbeat *left,
			struct store_done done) MUST_CHECK;

/* ------------------------------------------------------------------- logs */

struct store_log_append {
	struct store_lease lease;
	int64_t offset; /* payload bytes that this execution sent before */
	const struct store_log_chunk *chunks;
	size_t n;
	int64_t limit_bytes; /* of the job's whole log; 0: no limit */
	/* A line that is added to the log as NOTICE when the limit is first
	 * passed; may be NULL. */
	const char *limit_notice;
};
/*
 * result->log_append, and the job's id in result->job.id. Bytes that were
 * stored before are dropped; those over the limit are counted in the job's
 * log_dropped_bytes. STORE_E_LOG_GAP when bytes are missing before offset;
 * STORE_E_NOT_FOUND, STORE_E_STALE_EPOCH, STORE_E_ENDED.
 */
int store_log_append(struct store *s, const struct store_log_append *append,
		     struct store_done done) MUST_CHECK;

struct store_log_query {
	const char *job;
	int64_t offset;   /* payload bytes of the job's log to skip */
	size_t max_bytes; /* 1 … STORE_LOG_READ_MAX_BYTES */
};
/* result->log, and result->job.state as of the same moment. A log goes on
 * where a job is claimed again: offsets never go back. STORE_E_NOT_FOUND. */
int store_log_read(struct store *s, const struct store_log_query *query,
		   struct store_done done) MUST_CHECK;

/* ---------------------------------------------------------------- streams */

struct store_stream_append {
	/* NULL: that of the writer's execution. With the job given and no
	 * execution an administrator writes. */
	const char *job;
	enum store_stream_kind kind;
	/* The key counts where there is no from, until the job ends; of an
	 * administrator's too. */
	struct store_writer writer;
	int64_t from; /* number of the first record; -1: at the end */
	struct store_blob records; /* n lines, each with its newline */
	int64_t n;
	bool end;            /* nothing comes behind these */
	int64_t limit_bytes; /* of the whole stream; 0: no limit */
	struct store_audit audit;
};
/*
 * result->stream_append, result->job.id. All or nothing; records that were
 * stored before are dropped, where they are others STORE_E_CONFLICT. This one,
 * STORE_E_STREAM_GAP and STORE_E_STREAM_ENDED with result->stream_append.next;
 * STORE_E_ENDED: the execution has, or the job of an input; STORE_E_LIMIT;
 * STORE_E_NOT_FOUND; STORE_E_KEY_REUSED. Neither records nor end: only says
 * where the stream stands.
 */
int store_stream_append(struct store *s,
			const struct store_stream_append *append,
			struct store_done done) MUST_CHECK;

struct store_stream_query {
	const char *job;
	enum store_stream_kind kind;
	int64_t from;     /* number of the first record */
	size_t max_bytes; /* 1 … STORE_STREAM_READ_MAX_BYTES, but at least one
			   * record where there is one */
};
/* result->stream. STORE_E_STREAM_GAP with result->stream.records;
 * STORE_E_NOT_FOUND; STORE_E_ENDED: the input of a job that has ended. */
int store_stream_read(struct store *s, const struct store_stream_query *query,
		      struct store_done done) MUST_CHECK;

/* result->streams; STORE_E_NOT_FOUND. */
int store_stream_get(struct store *s, const char *job,
		     struct store_done done) MUST_CHECK;

/* Removes what is no longer needed of the streams of jobs that have ended,
 * the records of their input, a bounded piece: again while result->more. */
int store_stream_sweep(struct store *s, struct store_done done) MUST_CHECK;

/* -------------------------------------------------------------- variables */

/* Versions are taken from one counter, one for each write, deletions too: they
 * only grow, and a deleted and created variable never gets an old version
 * again. */
#define STORE_EXPECT_ANY INT64_C(-1)
#define STORE_EXPECT_ABSENT INT64_C(0)
#define STORE_EXPECT_PRESENT INT64_C(-2) /* any version, but it exists */

enum store_secret {
	STORE_SECRET_KEEP = 0, /* as it is; a new variable is no secret */
	STORE_SECRET_ON,
	STORE_SECRET_OFF,
};

/* result->variable, or STORE_E_NOT_FOUND */
int store_variable_get(struct store *s, const char *key,
		       struct store_done done) MUST_CHECK;

struct store_variable_query {
	const char *prefix; /* NULL or "": all */
	const char *after;  /* a key: only later ones; NULL: from the first */
	size_t limit;       /* 1 … STORE_LIST_MAX */
};
/* result->variables, by key, without their values */
int store_variable_list(struct store *s,
			const struct store_variable_query *query,
			struct store_done done) MUST_CHECK;

struct store_variable_put {
	const char *key;
	struct store_blob value; /* one JSON value */
	enum store_secret secret;
	int64_t expect; /* a version, or STORE_EXPECT_* */
	struct store_writer writer;
	struct store_audit audit;
};
/* result->variable, with the value as given unless it is a repeat, ->created;
 * STORE_E_EXISTS;
 * STORE_E_CONFLICT with the present version in result->variable (0: absent);
 * STORE_E_ENDED; STORE_E_KEY_REUSED. */
int store_variable_put(struct store *s, const struct store_variable_put *put,
		       struct store_done done) MUST_CHECK;

struct store_variable_delete {
	const char *key;
	int64_t expect; /* a version, STORE_EXPECT_ANY or _PRESENT */
	struct store_writer writer;
	struct store_audit audit;
};
/* result->variable: the key, and the version that the deletion took;
 * STORE_E_NOT_FOUND, and as store_variable_put(). */
int store_variable_delete(struct store *s,
			  const struct store_variable_delete *del,
			  struct store_done done) MUST_CHECK;

struct store_variable_increment {
	const char *key;
	const char *by; /* a JSON number */
	struct store_writer writer;
	struct store_audit audit;
};
/*
 * Adds to a number; an absent variable counts as 0. result->variable with the
 * new value. Two integers are added exactly in 64 bits; where either has a
 * fraction or exponent the sum is a double, written so that it reads back the
 * same. STORE_E_TYPE, STORE_E_RANGE, STORE_E_ENDED, STORE_E_KEY_REUSED.
 */
int store_variable_increment(struct store *s,
			     const struct store_variable_increment *inc,
			     struct store_done done) MUST_CHECK;

struct store_change_query {
	const char *key; /* NULL: of all, without their values */
	int64_t after;   /* a version; STORE_CHANGES_NONE: only how it is now */
	size_t limit;    /* 1 … STORE_LIST_MAX */
	size_t max_bytes; /* of values; one change is given in any case */
};
#define STORE_CHANGES_NONE INT64_C(-1)
/*
 * result->changes: the changes after a version, in their order. reset says that
 * they are not all known any more: then there are none, but, as with
 * STORE_CHANGES_NONE, for a key how it is now. Where the key still has the
 * version that it had then, nothing is missing.
 */
int store_change_list(struct store *s, const struct store_change_query *query,
		      struct store_done done) MUST_CHECK;

/* ---------------------------------------------------------------- runtime */

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
