#include "backend/log_stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/api.h"
#include "backend/follow.h"
#include "backend/job_json.h"
#include "backend/job_place.h"
#include "backend/store_job.h"
#include "backend/store_log.h"
#include "backend/waits.h"
#include "common/frame.h"
#include "common/id.h"

enum log_stream_state { LOG_START, LOG_IDLE, LOG_READING, LOG_BLOCKED };

struct log_stream {
	struct follower follower;
	struct api_call *call;
	struct log_stream_options options;
	char job[ID_MAX_BYTES];
	enum log_stream_state state;
	int64_t offset;
	bool again;      /* something happened since the read was started */
	bool ended;      /* the job has: nothing more will come */
	struct buf last; /* its final job object */
};

static void log_stream_read(struct log_stream *s);

static void on_end(struct api_call *call)
{
	struct log_stream *s = call->state;

	follow_remove(call->b->follow, &s->follower);
	buf_deinit(&s->last);
	free(s);
}

/* --- writing ------------------------------------------------------------- */

/* 0 or -ENOMEM; *full: the peer is slow. */
static int log_stream_write(struct log_stream *s, enum frame_type type,
			    const void *data, size_t len, bool *full)
{
	struct buf frame = { 0 };
	int r;

	if (!s->options.frames) {
		if (type != FRAME_STATE)
			*full = !http_respond_write(s->call->ex, data, len);
		return 0;
	}
	r = frame_append(&frame, type, data, len);
	if (!r)
		*full = !http_respond_write(s->call->ex, frame.data, frame.len);
	buf_deinit(&frame);
	return r;
}

static void log_stream_finish(struct log_stream *s)
{
	bool full;

	if (s->last.len &&
	    log_stream_write(s, FRAME_STATE, s->last.data, s->last.len, &full))
		api_stream_abort(s->call);
	else
		api_stream_end(s->call);
}

/* The final state waits for the last of the log; others go at once. */
static int log_stream_tell(struct log_stream *s, const void *json, size_t len,
			   bool ended)
{
	bool full; /* the log, which is larger, is told again */

	if (ended) {
		s->ended = true;
		buf_clear(&s->last);
		return buf_append(&s->last, json, len);
	}
	return log_stream_write(s, FRAME_STATE, json, len, &full);
}

/* --- reading the store --------------------------------------------------- */

/* As log_stream_write(). */
static int log_stream_write_chunks(struct log_stream *s,
				   const struct store_result *result,
				   bool *full)
{
	int r = 0;

	for (size_t i = 0; i < result->log.n && !r; i++) {
		const struct store_log_chunk *c = &result->log.chunks[i];

		r = log_stream_write(s, (enum frame_type)c->stream,
				     c->data.data, c->data.len, full);
	}
	return r;
}

static void on_log(int r, const struct store_result *result, void *ctx)
{
	struct api_call *call = ctx;
	struct log_stream *s = call->state;
	bool full = false;

	/* Never a gap: a reader that sees the end can come again. */
	if (r || log_stream_write_chunks(s, result, &full)) {
		api_stream_abort(call);
		return;
	}
	s->offset = MAX(s->offset, result->log.next);
	if (s->offset < result->log.total)
		s->again = true;
	s->state = full ? LOG_BLOCKED : LOG_IDLE;
	if (full)
		return;
	if (s->again)
		log_stream_read(s);
	else if (s->ended || !s->options.follow)
		log_stream_finish(s);
}

static void log_stream_read(struct log_stream *s)
{
	const struct store_log_query query = {
		.job = s->job,
		.offset = s->offset,
		.max_bytes = LOG_STREAM_READ_BYTES,
	};

	s->again = false;
	s->state = LOG_READING;
	if (store_log_read(s->call->b->store, &query,
			   api_done(s->call, on_log)))
		api_stream_abort(s->call);
}

static void on_drain(struct http_exchange *ex, void *data)
{
	struct api_call *call = data;
	struct log_stream *s = call->state;

	if (s->state == LOG_BLOCKED)
		log_stream_read(s);
}

/* The backend stops: the reader must be able to tell that this is not the
 * end of the log. */
static void log_stream_stop(struct log_stream *s)
{
	if (s->state == LOG_START)
		api_problem(s->call, 503, "stopping",
			    "the backend is stopping");
	else
		api_stream_abort(s->call);
}

/* --- events -------------------------------------------------------------- */

static void on_event(struct follower *f, const struct follow_event *ev)
{
	struct log_stream *s = (struct log_stream *)f;

	if (ev->stop) {
		log_stream_stop(s);
		return;
	}
	if (s->state == LOG_START) {
		/* Not before the reply has begun: the job is read again. */
		s->again |= ev->job_json != NULL;
		return;
	}
	s->again = true;
	if (ev->job_json &&
	    log_stream_tell(s, ev->job_json, ev->len, ev->ended)) {
		api_stream_abort(s->call);
		return;
	}
	if (s->state == LOG_IDLE)
		log_stream_read(s);
}

static void on_job(int r, const struct store_result *result, void *ctx);

static void log_stream_read_job(struct log_stream *s)
{
	s->again = false;
	api_start(s->call, store_job_get(s->call->b->store, s->job,
					 api_done(s->call, on_job)));
}

static void on_job(int r, const struct store_result *result, void *ctx)
{
	struct api_call *call = ctx;
	struct log_stream *s = call->state;
	struct buf json = { 0 };
	struct waiting waiting;

	if (r) {
		api_store_problem(call, r, result, "job");
		return;
	}
	if (s->again) { /* it changed meanwhile: this may be the old one */
		log_stream_read_job(s);
		return;
	}
	api_stream_start(call, s->options.frames ? FRAME_CONTENT_TYPE
						 : "text/plain; charset=utf-8");
	r = job_waiting(call->b, &result->job, &waiting);
	if (!r)
		r = job_json_append(&json, &result->job, &waiting);
	if (!r && s->options.follow && result->job.state == JOB_QUEUED)
		waits_told(call->b->waits, &result->job, &waiting);
	if (!r)
		r = log_stream_tell(s, json.data, json.len,
				    job_state_ended(result->job.state));
	buf_deinit(&json);
	if (r)
		api_stream_abort(call);
	else
		log_stream_read(s);
}

void log_stream_start(struct api_call *call, const char *job,
		      const struct log_stream_options *options)
{
	struct log_stream *s = calloc(1, sizeof(*s));

	if (!s || follow_add(call->b->follow, job, &s->follower)) {
		free(s);
		api_start(call, -ENOMEM);
		return;
	}
	s->follower.on_event = on_event;
	s->call = call;
	s->options = *options;
	s->offset = options->offset;
	snprintf(s->job, sizeof(s->job), "%s", job);
	call->state = s;
	call->on_end = on_end;
	http_exchange_on_drain(call->ex, on_drain);
	log_stream_read_job(s);
}
