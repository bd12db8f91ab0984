#include "backend/record_stream.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend/api.h"
#include "backend/store_stream.h"
#include "backend/stream_hub.h"
#include "backend/streams.h"
#include "common/id.h"

enum record_stream_state {
	RECORDS_START,
	RECORDS_IDLE,
	RECORDS_READING,
	RECORDS_BLOCKED,
	RECORDS_BREAKING, /* until the peer has what came before */
};

struct record_stream {
	struct stream_reader reader;
	struct api_call *call;
	struct record_stream_options options;
	char job[ID_MAX_BYTES];
	enum record_stream_state state;
	int64_t next;      /* record to go on from … */
	int64_t at, bytes; /* … the bytes before it, and of the stream */
	bool again;        /* something happened since the read was started */
};

#define TO(state) (1U << RECORDS_##state)

static UNUSED const unsigned int record_stream_moves[] = {
	[RECORDS_START] = TO(IDLE) | TO(READING) | TO(BLOCKED) | TO(BREAKING),
	[RECORDS_IDLE] = TO(READING),
	[RECORDS_READING] = TO(IDLE) | TO(READING) | TO(BLOCKED) | TO(BREAKING),
	[RECORDS_BLOCKED] = TO(READING),
	[RECORDS_BREAKING] = 0,
};

static void record_stream_read(struct record_stream *s);

static void record_stream_set_state(struct record_stream *s,
				    enum record_stream_state state)
{
	assert(record_stream_moves[s->state] & (1U << state));
	s->state = state;
}

static struct stream_hub *hub_of(const struct record_stream *s)
{
	return streams_hub(s->call->b->streams);
}

static void on_end(struct api_call *call)
{
	struct record_stream *s = call->state;

	stream_hub_unread(hub_of(s), &s->reader);
	free(s);
}

/* --- going on ------------------------------------------------------------ */

/* BREAKING: once the peer has what was written. */
static void record_stream_try_break(struct record_stream *s)
{
	if (http_respond_flushed(s->call->ex))
		api_stream_abort(s->call);
}

/* All that was stored was written. */
static void record_stream_caught_up(struct record_stream *s,
				    enum store_stream_state state)
{
	if (state == STORE_STREAM_BROKEN) {
		record_stream_set_state(s, RECORDS_BREAKING);
		record_stream_try_break(s);
	} else if (state == STORE_STREAM_ENDED || !s->options.follow) {
		api_stream_end(s->call);
	} else if (s->again) {
		record_stream_read(s);
	} else {
		record_stream_set_state(s, RECORDS_IDLE);
	}
}

static void record_stream_take(struct record_stream *s,
			       const struct store_result *result)
{
	const struct store_blob *data = &result->stream.data;
	bool full = false;

	s->next = result->stream.next;
	s->at = result->stream.at;
	s->bytes = result->stream.bytes;
	if (data->len)
		full = !http_respond_write(s->call->ex, data->data, data->len);
	if (full) {
		record_stream_set_state(s, RECORDS_BLOCKED);
		return;
	}
	stream_hub_taken(hub_of(s), &s->reader, s->at, s->bytes);
	if (s->next < result->stream.records)
		record_stream_read(s);
	else
		record_stream_caught_up(s, result->stream.state);
}

static void on_drain(struct http_exchange *ex, void *data)
{
	struct api_call *call = data;
	struct record_stream *s = call->state;

	if (s->state == RECORDS_BREAKING) {
		record_stream_try_break(s);
	} else if (s->state == RECORDS_BLOCKED) {
		stream_hub_taken(hub_of(s), &s->reader, s->at, s->bytes);
		record_stream_read(s);
	}
}

static void on_event(struct stream_reader *r, bool stop)
{
	struct record_stream *s = (struct record_stream *)r;

	s->again = true;
	if (stop) /* the reader can tell that this is not the stream's end */
		api_stream_abort(s->call);
	else if (s->state == RECORDS_IDLE)
		record_stream_read(s);
}

/* --- beginning ----------------------------------------------------------- */

/* False: answered. */
static bool record_stream_refused(struct record_stream *s, int r,
				  const struct store_result *result)
{
	struct api_call *call = s->call;

	if (r == STORE_E_STREAM_GAP)
		api_problem_with(call, 409, "stream_gap", "next",
				 result->stream.records, "%s", result->message);
	else if (r)
		api_store_problem(call, r, result, "job");
	else if (result->stream.state == STORE_STREAM_BROKEN &&
		 s->next == result->stream.records)
		api_problem_with(call, 409, "stream_broken", "next", s->next,
				 "the stream ends after %lld records, because "
				 "job %s did not succeed%s%s",
				 (long long)s->next, result->stream.job,
				 result->stream.reason ? ": " : "",
				 result->stream.reason ? result->stream.reason
						       : "");
	else if (call->b->draining)
		api_problem(call, 503, "stopping", "the backend is stopping");
	else
		return false;
	return true;
}

static void record_stream_begin(struct record_stream *s,
				const struct store_result *result)
{
	struct api_call *call = s->call;
	char from[24];

	s->reader.on_event = on_event;
	if (stream_hub_read(hub_of(s), result->stream.job, result->stream.kind,
			    result->stream.at -
				    (int64_t)result->stream.data.len,
			    &s->reader)) {
		api_start(call, -ENOMEM);
		return;
	}
	s->again = true; /* it was not told what came after the read */
	http_exchange_on_drain(call->ex, on_drain);
	snprintf(from, sizeof(from), "%lld", (long long)s->next);
	api_stream_start_with(call, RECORD_STREAM_CONTENT_TYPE,
			      "x-cronium-stream-from", from);
	record_stream_take(s, result);
}

static void on_first(int r, const struct store_result *result, void *ctx)
{
	struct api_call *call = ctx;
	struct record_stream *s = call->state;

	if (!record_stream_refused(s, r, result))
		record_stream_begin(s, result);
}

/* --- reading the store --------------------------------------------------- */

static void on_records(int r, const struct store_result *result, void *ctx)
{
	struct api_call *call = ctx;

	/* Never a gap, and no end that is none. */
	if (r)
		api_stream_abort(call);
	else
		record_stream_take(call->state, result);
}

static int record_stream_query(struct record_stream *s, api_store_fn fn)
{
	const struct store_stream_query query = {
		.job = s->job,
		.kind = s->options.kind,
		.from = s->next,
		.max_bytes = RECORD_STREAM_READ_BYTES,
	};

	return store_stream_read(s->call->b->store, &query,
				 api_done(s->call, fn));
}

static void record_stream_read(struct record_stream *s)
{
	s->again = false;
	record_stream_set_state(s, RECORDS_READING);
	if (record_stream_query(s, on_records))
		api_stream_abort(s->call);
}

void record_stream_start(struct api_call *call, const char *job,
			 const struct record_stream_options *options)
{
	struct record_stream *s = calloc(1, sizeof(*s));

	if (!s) {
		api_start(call, -ENOMEM);
		return;
	}
	s->call = call;
	s->options = *options;
	s->next = options->from;
	snprintf(s->job, sizeof(s->job), "%s", job);
	call->state = s;
	call->on_end = on_end;
	api_start(call, record_stream_query(s, on_first));
}
