/*
 * What a runner sends of its script's output: counted, and masked. A secret
 * may begin at the end of a piece, so that the last bytes are held back until
 * more comes or the stream ends.
 *
 * The source of a log that is taken up from another process begins at a point
 * before the one where the log stands: what lies between comes again, and is
 * counted without being shown.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macro.h"
#include "orchestrator/log_queue.h"

struct redact_stream;
struct redactor;

struct log_source {
	struct redact_stream *streams[LOG_MASKED_STREAMS];
	uint64_t fed[LOG_STREAMS];   /* bytes that came from the runner */
	uint64_t again[LOG_STREAMS]; /* that will come, and are in the log */
	struct buf masked; /* whoever puts it into the log empties it */
};

/* The redactor must outlive it. 0 or -ENOMEM; deinit it in either case. */
int log_source_init(struct log_source *s, struct redactor *redactor) MUST_CHECK;
void log_source_deinit(struct log_source *s);

/* The runner sends from begin on, the log stands at log. */
void log_source_resume(struct log_source *s, const struct log_position *begin,
		       const struct log_position *log);

/* Counts len bytes that came; how many of them are in the log already. */
size_t log_source_count(struct log_source *s, enum log_stream stream,
			size_t len);

/* Appends to masked what may be shown once these bytes, which were counted,
 * have come. 0 or -ENOMEM. */
int log_source_feed(struct log_source *s, enum log_stream stream,
		    const void *data, size_t len) MUST_CHECK;
/* The same of what was held back: the stream ends. 0 or -ENOMEM. */
int log_source_flush(struct log_source *s, enum log_stream stream) MUST_CHECK;

/* Where the stream is behind what was masked. */
struct log_mark log_source_mark(const struct log_source *s,
				enum log_stream stream);
