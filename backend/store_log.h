/* Logs in the store; see store.h for how operations work. */
#pragma once

#include "backend/store_queue.h"
#include "common/macro.h"

#define STORE_LOG_READ_MAX_BYTES (1024 * 1024)

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
