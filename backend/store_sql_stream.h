/*
 * Streams in the database: a row of their own for how many records there are,
 * and rows of whole lines, one for each append (a chunk).
 */
#pragma once

#include "backend/store_sql.h"

/* A stream as it is stored, with what its state depends on. */
struct sql_stream {
	int64_t job; /* seq */
	const char *id;
	enum job_state job_state, execution_state;
	bool input_stream;
	const char *input_from, *reason;
	enum store_stream_kind kind;
	int64_t records, bytes;
	bool ended;
};

/* Locks the job and loads one of its streams: 0, STORE_E_NOT_FOUND with a
 * message, or negative errno. */
int sql_stream_load(struct db *db, struct store_call *call, const char *job,
		    enum store_stream_kind kind,
		    struct sql_stream *out) MUST_CHECK;
/* The same of an execution's job; STORE_E_ENDED where it does not run. */
int sql_stream_load_execution(struct db *db, struct store_call *call,
			      const char *execution,
			      enum store_stream_kind kind,
			      struct sql_stream *out) MUST_CHECK;
/* An input that comes from another job is that job's output. */
int sql_stream_load_source(struct db *db, struct store_call *call,
			   struct sql_stream *s) MUST_CHECK;

enum store_stream_state sql_stream_state(const struct sql_stream *s);

/* The chunks of a stream (job, kind) that have ?4 bytes from record ?3 on, and
 * some more: those that begin up to there behind the first one. */
#define SQL_STREAM_CHUNKS                                             \
	"SELECT c.first, c.at, c.data FROM stream_chunks c, (SELECT " \
	"first, at, length(data) AS len FROM stream_chunks "          \
	"WHERE job = ?1 AND kind = ?2 AND first <= ?3 "               \
	"ORDER BY first DESC LIMIT 1) AS s WHERE c.job = ?1 "         \
	"AND c.kind = ?2 AND c.first >= s.first "                     \
	"AND c.at <= s.at + s.len + ?4"

/* Bytes of the first n lines; *seen: how many there are, at most n. */
size_t sql_stream_skip(const char *data, size_t len, int64_t n, int64_t *seen);
