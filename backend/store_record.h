/*
 * What the store keeps and hands back: jobs, variables, logs, the audit log,
 * API keys, and the result of each operation. Everything that is pointed to
 * belongs to the result, and is valid during the callback only.
 *
 * Strings are NUL-terminated. Times are milliseconds since the Unix epoch, 0
 * for "not yet".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/job_state.h"
#include "backend/session_state.h"

#define STORE_HASH_BYTES 32

/* Bytes. data == NULL: there are none at all (not the same as len == 0). */
struct store_blob {
	const void *data;
	size_t len;
};

/*
 * One audit entry. As a member of a request it is written in the transaction
 * of the operation that it describes, also when that is refused, and the
 * store fills in the result; action == NULL for none.
 */
struct store_audit {
	const char *who;       /* "key:ID", "execution:ID", "uid:0" */
	const char *action;    /* "variable.put" */
	const char *target;    /* what it was done to: a name, never a value */
	const char *result;    /* "ok" or an outcome's name */
	const char *job;       /* may be NULL */
	const char *execution; /* may be NULL */
	const char *trace_id;  /* may be NULL */
};

#define STORE_USAGE_UNKNOWN (-1)

/* STORE_USAGE_UNKNOWN: nobody has measured it, or not yet. */
struct store_usage {
	int64_t user_us, system_us, max_rss_kb;
	int64_t peak_memory_bytes, read_bytes, write_bytes;
};

/* How often a job that failed is tried again: the waits double from initial_ms
 * to max_ms, and none begins later than elapsed_ms after the first failure. */
struct store_retry {
	int64_t retries, initial_ms, max_ms, elapsed_ms;
};

/* An orchestrator that was seen. */
struct store_agent {
	const char *name, *executors, *labels, *address;
	int64_t slots, running;     /* leases that are out */
	const char *backend;        /* that it is connected to, or NULL */
	bool drained;               /* takes no more jobs: somebody said so */
	bool accepting;             /* false: it said so itself … */
	const char *code, *problem; /* … and why; may be NULL */
	int64_t connected_ms, seen_ms;
	struct store_blob snapshot, pods; /* JSON, as it sent them */
};

/* Where the executor ssh runs jobs. */
struct store_host {
	const char *name, *user, *address;
	int64_t port;
	const char *host_key; /* "SHA256:…"; NULL: not pinned */
	const char *mode;     /* "tunnel" or "direct" */
	bool read_only;       /* its executions change nothing */
	int64_t created_ms;   /* set by the store */
};

struct store_session {
	const char *id, *name;
	enum session_state state;
	const char *reason; /* of its last change, or NULL */
	int64_t created_ms, ended_ms;
	int64_t queued, running, ended; /* its jobs; running: or claimed */
};

struct store_job {
	const char *id, *name, *runtime;
	const char *executor;  /* as asked for; where it runs once started */
	const char *execution; /* latest execution, NULL before any claim */
	const char *agent, *pod, *reason; /* may be NULL */
	/* As given with store_job_new; each may be NULL. */
	const char *want_agent, *parent, *input_from, *trace_id;
	const char *want_labels; /* "": none; NULL: not known any more */
	const char *signature;   /* of the script; NULL: from before there were
				* any */
	const char *host;        /* for the executor ssh, or NULL */
	/* Of its session, NULL where it is in none. */
	const char *session, *session_name, *session_reason;
	bool held;    /* queued, but its session is paused */
	bool no_wait; /* it fails where it would wait for more than a slot */
	struct store_retry retry;
	int64_t not_before_ms; /* queued, but waits until then; 0: no wait */
	bool input_stream;
	enum job_state state;
	bool cancel_requested;
	const char *cancel_reason; /* may be NULL */
	int64_t epoch;   /* of the latest execution, 0 before any claim */
	int64_t attempt; /* 1 for the first that could start */
	int64_t created_ms, claimed_ms, started_ms, ended_ms, lease_until_ms;
	bool has_exit_code;
	int exit_code;
	int signal; /* 0: none */
	bool oom_killed;
	struct store_usage usage;
	int64_t script_bytes, input_bytes;
	int64_t output_bytes; /* -1: no output was set */
	int64_t log_bytes, log_dropped_bytes;
	struct store_blob labels; /* JSON object */
	struct store_blob spec;   /* JSON object; not filled in lists */
	/* JSON object, of the latest execution; filled by store_job_get()
	 * alone */
	struct store_blob telemetry;
};

/* As enum frame_type. */
enum store_stream {
	STORE_STDOUT = 1,
	STORE_STDERR = 2,
	STORE_NOTICE = 3,
};

/* The two streams of records that a job has; numbers as in the database. */
enum store_stream_kind {
	STORE_STREAM_INPUT = 0,
	STORE_STREAM_OUTPUT = 1,
};

enum store_stream_state {
	STORE_STREAM_OPEN,
	STORE_STREAM_ENDED,  /* all of it is there */
	STORE_STREAM_BROKEN, /* its writer ended in another way */
};

struct store_stream_info {
	enum store_stream_state state;
	int64_t records, bytes;
	const char *from; /* the job that it comes from, or NULL */
};

struct store_log_chunk {
	enum store_stream stream;
	struct store_blob data;
};

struct store_variable {
	const char *key;
	struct store_blob value; /* data NULL where not asked for */
	size_t bytes;            /* of the value */
	int64_t version, updated_ms;
	bool secret;
};

struct store_change {
	const char *key;
	int64_t version;
	bool deleted;
	bool secret;             /* the variable, as it was then */
	struct store_blob value; /* data NULL: deleted, or not asked for */
};

struct store_audit_entry {
	int64_t id, at_ms;
	struct store_audit entry;
};

struct store_stop {
	const char *execution, *reason; /* reason may be NULL */
};

struct store_api_key {
	const char *id, *name;
	uint8_t hash[STORE_HASH_BYTES];   /* SHA-256 of the key */
	int64_t created_ms, last_used_ms; /* set by the store */
};

struct store_result {
	const char *message; /* a sentence when r != 0 */
	bool repeated;       /* an earlier request with this key did it */
	struct store_job job;
	struct store_session session;
	union {
		struct {
			const struct store_job *items;
			size_t n;
			bool more; /* list: there are older ones */
			int64_t next_ms;
		} jobs;
		int64_t counts[JOB_STATES];
		struct store_blob blob;
		struct { /* the job itself is in result->job */
			struct store_blob script, input;
			const struct store_host *host; /* NULL: it names none,
							* or it is gone */
		} claim;
		struct {
			const struct store_session *items;
			size_t n;
			bool more; /* there are older ones */
		} sessions;
		struct store_host host;
		struct store_agent agent;
		struct {
			const struct store_agent *items;
			size_t n;
		} agents;
		struct {
			const struct store_host *items;
			size_t n;
		} hosts;
		struct {
			const struct store_stop *cancel;
			size_t n_cancel;
			const char *const *lost;
			size_t n_lost;
		} heartbeat;
		struct {
			int64_t next; /* offset expected next */
			bool stored;  /* something new can be read */
			bool full;    /* the limit was passed: nothing more
				       * will be kept */
		} log_append;
		struct {
			const struct store_log_chunk *chunks;
			size_t n;
			int64_t next;  /* offset to go on from */
			int64_t total; /* bytes stored so far */
		} log;
		struct { /* the job whose stream it is: result->job.id */
			int64_t next, bytes; /* that there are now */
			bool stored;         /* something new can be read */
			bool ended;
		} stream_append;
		struct {
			/* Whose stream it is: the job asked for, or that which
			 * its input comes from. */
			const char *job;
			enum store_stream_kind kind;
			struct store_blob data; /* n lines */
			int64_t n;
			int64_t next; /* record to go on from … */
			int64_t at;   /* … and the bytes before it */
			int64_t records, bytes; /* stored so far */
			enum store_stream_state state;
			const char *reason; /* why it is broken, or NULL */
		} stream;
		struct {
			struct store_stream_info input, output;
		} streams;
		bool more; /* sweep: there is more to remove */
		struct store_variable variable;
		struct {
			const struct store_variable *items;
			size_t n;
			bool more;
		} variables;
		struct {
			const struct store_change *items;
			size_t n;
			bool more;        /* after the last of them */
			bool reset;       /* see store_change_list() */
			int64_t position; /* newest version as of this read */
			/* Of a key, with STORE_CHANGES_NONE or reset; version
			 * 0: there is no such variable. */
			struct store_variable now;
		} changes;
		bool condition;
		struct {
			int status; /* 0: begun, outcome unknown */
			struct store_blob reply;
		} tool;
		struct {
			const struct store_audit_entry *items;
			size_t n;
			bool more;
		} audit;
		struct {
			const struct store_api_key *items;
			size_t n;
		} api_keys;
	};
	bool created; /* put: the variable or host is new */
};
