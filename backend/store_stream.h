/* The streams of records of jobs in the store; see store.h for how operations
 * work. */
#pragma once

#include "backend/store.h"
#include "common/macro.h"

#define STORE_STREAM_READ_MAX_BYTES (1024 * 1024 + 1) /* one big append */
#define STORE_STREAM_SWEEP_BYTES (4 * 1024 * 1024)    /* in one transaction */
#define STORE_STREAM_SWEEP_ROWS 1000

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
