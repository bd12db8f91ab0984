/* Loading a job, and ending it: shared by the operations. */
#pragma once

#include "backend/store_sql.h"

struct sql_job {
	struct store_job job;
	int64_t seq;
	int64_t session_seq;            /* 0: none */
	int64_t execution_seq;          /* 0: none */
	enum job_state execution_state; /* queued: it was given back */
};

/* Payload of the specification, beside enum store_payload. */
#define SQL_PAYLOAD_SPEC 0

/* Load the job with its latest execution, or as seen by one execution. 0,
 * STORE_E_NOT_FOUND with a message, or negative errno. */
int sql_job_load(struct db *db, struct store_call *call, const char *id,
		 struct sql_job *out) MUST_CHECK;
int sql_job_load_seq(struct db *db, struct store_call *call, int64_t seq,
		     struct sql_job *out) MUST_CHECK;
int sql_job_load_key(struct db *db, struct store_call *call, const char *key,
		     struct sql_job *out) MUST_CHECK;
int sql_job_load_execution(struct db *db, struct store_call *call,
			   const char *execution,
			   struct sql_job *out) MUST_CHECK;

/*
 * Nobody else changes the job, or its executions, streams and log, until this
 * transaction ends: each operation that does takes this first, and what it
 * reads afterwards is what the last one has left. Loading a job by its name, or
 * by that of an execution, does so where the transaction may write.
 */
int sql_job_lock(struct db *db, const char *id) MUST_CHECK;
int sql_job_lock_seq(struct db *db, int64_t seq) MUST_CHECK;
int sql_job_lock_execution(struct db *db, const char *execution) MUST_CHECK;

/* 0 or STORE_E_NOT_FOUND, or negative errno. */
int sql_payload_load(struct db *db, struct store_call *call, int64_t job,
		     int kind, struct store_blob *out) MUST_CHECK;
int sql_payload_save(struct db *db, int64_t job, int kind,
		     const struct store_blob *data) MUST_CHECK;

/* Arguments: job, offset, stream, bytes. */
#define SQL_LOG_INSERT                                            \
	"INSERT INTO log_chunks (job, \"offset\", stream, data) " \
	"VALUES (?1, ?2, ?3, ?4)"

/* What makes one of the jobs j one that may be claimed: as the index jobs_queue
 * has it. */
#define SQL_CLAIMABLE(j)                              \
#j ".state = 0 AND " #j ".not_before_ms = 0 " \
	   "AND " #j ".held = 0"

/* The highest turn that was claimed so far: store_sql_claim.c. */
int sql_claim_served(struct db *db, int64_t *turn) MUST_CHECK;

/* Whether a new job may be below its parent: 0, STORE_E_ENDED, STORE_E_FAMILY,
 * or negative errno. */
int sql_family_check(struct db *db, struct store_call *call,
		     const struct store_job_new *new) MUST_CHECK;

/* Whether a new job's host is there: 0, STORE_E_HOST, or negative errno. */
int sql_host_check(struct db *db, struct store_call *call,
		   const char *name) MUST_CHECK;
/* The host of a claimed job; NULL where there is none of this name. */
int sql_host_load(struct db *db, struct store_call *call, const char *name,
		  const struct store_host **out) MUST_CHECK;

/* How the latest execution of a job has ended. */
struct sql_attempt {
	enum job_state state;
	const char *reason; /* may be NULL */
	bool has_exit_code;
	int exit_code, signal;
};
/* Moves the job to that state, or back to the queue for another try. */
int sql_retry_or_end(struct db *db, const struct sql_job *job,
		     const struct sql_attempt *attempt) MUST_CHECK;

/* Moves the job to another state. */
int sql_job_set_state(struct db *db, const struct sql_job *job,
		      enum job_state state, const char *reason) MUST_CHECK;
/* Ends the latest execution: its lease, and what it could repeat. */
int sql_execution_end(struct db *db, const struct sql_job *job,
		      enum job_state state) MUST_CHECK;

/* Does something to one job, and fills it in as it is afterwards.
 * STORE_E_NOT_FOUND: it needs nothing any more. */
typedef int sql_queue_one_fn(struct db *db, struct store_call *call,
			     int64_t seq, struct store_job *out);
/* To each job whose number the query finds (?1: the time of the request in ms,
 * ?2: how many at most); they are the result's jobs. */
int sql_queue_each(struct db *db, struct store_call *call, const char *query,
		   sql_queue_one_fn *one) MUST_CHECK;
/* When there is something to be done to the next one: the time that the query
 * finds. */
int sql_queue_next(struct db *db, struct store_call *call,
		   const char *query) MUST_CHECK;
