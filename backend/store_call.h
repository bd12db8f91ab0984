/*
 * What an implementation of the store sees: calls to carry out. See store.h
 * for what the operations mean.
 *
 * A call is made in the loop thread (store_call.c), which copies its request;
 * it then belongs to the implementation, in any thread, until that hands it
 * back with store_call_finish(). Callbacks and owners stay with the loop.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "backend/arena.h"
#include "backend/store_job.h"
#include "backend/store_url.h"
#include "common/id.h"

struct event;

enum store_op {
	STORE_OP_JOB_SUBMIT,         /* struct store_job_new */
	STORE_OP_JOB_GET,            /* struct store_request_id */
	STORE_OP_JOB_LIST,           /* struct store_job_query */
	STORE_OP_JOB_COUNT,          /* none */
	STORE_OP_JOB_READ,           /* struct store_request_payload */
	STORE_OP_JOB_CANCEL,         /* struct store_job_cancel */
	STORE_OP_JOB_FAIL,           /* struct store_job_fail */
	STORE_OP_JOB_NO_WAIT,        /* none */
	STORE_OP_JOB_CANCEL_ORPHANS, /* none */
	STORE_OP_QUEUE_CLAIM,        /* struct store_claim */
	STORE_OP_QUEUE_GIVE_BACK,    /* struct store_give_back */
	STORE_OP_QUEUE_STARTED,      /* struct store_started */
	STORE_OP_QUEUE_HEARTBEAT,    /* struct store_heartbeat */
	STORE_OP_QUEUE_COMPLETE,     /* struct store_complete */
	STORE_OP_QUEUE_EXPIRE,       /* struct store_request_ms */
	STORE_OP_QUEUE_DUE,          /* struct store_request_ms */
	STORE_OP_QUEUE_GRACE,        /* struct store_request_ms */
	STORE_OP_QUEUE_RECOVER,      /* struct store_heartbeat */
	STORE_OP_LOG_APPEND,         /* struct store_log_append */
	STORE_OP_LOG_READ,           /* struct store_log_query */
	STORE_OP_STREAM_APPEND,      /* struct store_stream_append */
	STORE_OP_STREAM_READ,        /* struct store_stream_query */
	STORE_OP_STREAM_GET,         /* struct store_request_id */
	STORE_OP_STREAM_SWEEP,       /* none */
	STORE_OP_VARIABLE_GET,       /* struct store_request_id */
	STORE_OP_VARIABLE_LIST,      /* struct store_variable_query */
	STORE_OP_VARIABLE_PUT,       /* struct store_variable_put */
	STORE_OP_VARIABLE_DELETE,    /* struct store_variable_delete */
	STORE_OP_VARIABLE_INCREMENT, /* struct store_variable_increment */
	STORE_OP_CHANGE_LIST,        /* struct store_change_query */
	STORE_OP_EXECUTION_GET,      /* struct store_request_id */
	STORE_OP_OUTPUT_SET,         /* struct store_output_set */
	STORE_OP_CONDITION_SET,      /* struct store_condition_set */
	STORE_OP_CONDITION_GET,      /* struct store_request_id */
	STORE_OP_TOOL_BEGIN,         /* struct store_tool_begin */
	STORE_OP_TOOL_FINISH,        /* struct store_tool_finish */
	STORE_OP_SESSION_NEW,        /* struct store_session_new */
	STORE_OP_SESSION_SET,        /* struct store_session_set */
	STORE_OP_SESSION_GET,        /* struct store_request_id */
	STORE_OP_SESSION_LIST,       /* struct store_session_query */
	STORE_OP_HOST_PUT,           /* struct store_host_put */
	STORE_OP_HOST_DELETE,        /* struct store_host_delete */
	STORE_OP_HOST_GET,           /* struct store_request_id */
	STORE_OP_HOST_LIST,          /* none */
	STORE_OP_AGENT_CONNECT,      /* struct store_agent_connect */
	STORE_OP_AGENT_DISCONNECT,   /* struct store_agent_disconnect */
	STORE_OP_AGENT_DRAIN,        /* struct store_agent_drain */
	STORE_OP_AGENT_FORGET,       /* struct store_agent_forget */
	STORE_OP_AGENT_GET,          /* struct store_request_id */
	STORE_OP_AGENT_LIST,         /* none */
	STORE_OP_AUDIT_APPEND,       /* struct store_request_audit */
	STORE_OP_AUDIT_LIST,         /* struct store_audit_query */
	STORE_OP_API_KEY_ADD,        /* struct store_api_key_new */
	STORE_OP_API_KEY_DELETE,     /* struct store_api_key_delete */
	STORE_OP_API_KEY_TOUCH,      /* struct store_request_id */
	STORE_OP_API_KEY_LIST,       /* none */
	STORE_OPS,
};

struct store_request_id {
	const char *id;
};
struct store_request_payload {
	const char *job;
	enum store_payload kind;
};
struct store_request_ms {
	int64_t ms;
};
struct store_request_audit {
	struct store_audit audit;
};

struct store_call {
	STAILQ_ENTRY(store_call) queued;
	enum store_op op;
	const void *request; /* a copy, of the type given with the op */
	size_t bytes;        /* how much memory the request takes */
	atomic_bool cancelled;
	struct arena arena; /* of the request, and for the result */
	struct store_result result;
	int r;

	/* The loop's. */
	struct store *store;
	struct store_done done;
	LIST_ENTRY(store_call) owned;
};
STAILQ_HEAD(store_calls, store_call);

/* An implementation. It embeds struct store as its first member. */
struct store_ops {
	const char *name;
	/* Takes the call; never fails and never finishes it at once. */
	void (*start)(struct store *s, struct store_call *call);
	/* store_stats.away */
	bool (*away)(const struct store *s);
	/* Finishes every call that it has, then frees itself. */
	void (*close)(struct store *s);
};

struct store {
	const struct store_ops *ops;
	const struct store_url *url; /* the implementation's */
	struct event *completion;
	int completion_fd; /* eventfd */
	/* Of this backend among those that share a database. */
	char instance[ID_MAX_BYTES];
	size_t n_calls, bytes; /* under way */
	uint64_t calls_total;
	_Atomic uint64_t commits_total; /* the implementation counts */
	/* Set by the implementation: why nothing is stored any more, and what
	 * its clock is ahead of clock_steady_ms(). */
	_Atomic(const char *) failed;
	_Atomic int64_t clock_offset_ms;
	pthread_mutex_t lock;
	struct store_place place; /* under lock; the implementation sets it */
	struct store_calls finished; /* under lock */
};

/* For the implementation's constructor and destructor. */
int store_init(struct store *s, const struct store_ops *ops,
	       struct event_base *base) MUST_CHECK;
void store_deinit(struct store *s);

/* Where its database is now. From any thread. */
void store_get_place(struct store *s, struct store_place *out);
void store_set_place(struct store *s, const struct store_place *place);

/* Of requests (store_request.c). Whether an operation changes something, and
 * whether values of variables pass through it. */
bool store_op_writes(enum store_op op);
bool store_op_is_secret(enum store_op op);
/* Copies the request, deeply. Out of memory: call->arena.failed. */
void store_call_copy_request(struct store_call *call, const void *request);
/* The audit member of the call's request, NULL when there is none to write. */
const struct store_audit *store_call_audit(const struct store_call *call);

/* Starts an operation: copies the request and hands it to the store. */
int store_call_start(struct store *s, enum store_op op, const void *request,
		     struct store_done done) MUST_CHECK;

/* The functions of store_*.h, which do nothing else: with a request as it was
 * given, with none, and of the one thing that has this id. */
#define STORE_OPERATION(function, op, type)                               \
	int function(struct store *s, const struct type *request,         \
		     struct store_done done)                              \
	{                                                                 \
		return store_call_start(s, STORE_OP_##op, request, done); \
	}
#define STORE_OPERATION_BARE(function, op)                             \
	int function(struct store *s, struct store_done done)          \
	{                                                              \
		return store_call_start(s, STORE_OP_##op, NULL, done); \
	}
#define STORE_OPERATION_ID(function, op)                                      \
	int function(struct store *s, const char *id, struct store_done done) \
	{                                                                     \
		struct store_request_id request = { id };                     \
                                                                              \
		return store_call_start(s, STORE_OP_##op, &request, done);    \
	}

/* Sets the result's sentence and returns r. */
int store_call_fail(struct store_call *call, int r, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
/* Hand the calls back, with r and result filled in. From any thread. */
void store_call_finish(struct store *s, struct store_calls *calls);
