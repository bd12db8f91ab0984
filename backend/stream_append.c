#include "backend/stream_append.h"

#include <errno.h>
#include <stdlib.h>

#include "backend/api.h"
#include "backend/metrics.h"
#include "backend/store_stream.h"
#include "backend/stream_hub.h"
#include "backend/stream_lines.h"
#include "backend/streams.h"
#include "common/clock.h"

struct append {
	struct stream_writer writer;
	struct backend *b;
	struct api_call *call; /* NULL: the peer left */
	struct stream_append_options options;
	struct stream_lines lines; /* empty once the store has them */
	const char *key;
	int64_t from; /* -1: at the end */
	bool end;
	bool storing; /* its completion frees it where the call is gone */
};

static void append_free(struct append *a)
{
	stream_lines_deinit(&a->lines);
	free(a);
}

static void on_end(struct api_call *call)
{
	struct append *a = call->state;

	a->call = NULL;
	if (a->storing)
		return;
	stream_hub_leave(streams_hub(a->b->streams), &a->writer);
	append_free(a);
}

/* --- the reply ----------------------------------------------------------- */

static void append_reply(struct append *a, int r,
			 const struct store_result *result)
{
	struct api_call *call = a->call;
	int64_t next = result->stream_append.next;

	if (r == STORE_E_STREAM_GAP)
		api_problem_with(call, 409, "stream_gap", "next", next,
				 "records are missing before %lld: the stream "
				 "goes on with record %lld",
				 (long long)a->from, (long long)next);
	else if (r == STORE_E_CONFLICT)
		api_problem_with(call, 409, "stream_conflict", "next", next,
				 "nothing was stored: %s", result->message);
	else if (r == STORE_E_ENDED && !a->options.execution)
		api_problem_with(call, 409, "job_ended", "next", next,
				 "nothing was stored: %s", result->message);
	else if (r == STORE_E_STREAM_ENDED)
		api_problem_with(call, 409, "stream_ended", "next", next,
				 "nothing more can be appended: %s",
				 result->message);
	else if (r == STORE_E_LIMIT)
		api_problem_with(call, 413, "too_large", "next", next,
				 "nothing was stored: %s", result->message);
	else if (r)
		api_store_problem(call, r, result,
				  a->options.execution ? "execution" : "job");
	else
		api_reply_json(call, 200,
			       json_pack("{s:I}", "next", (json_int_t)next));
}

/* --- storing ------------------------------------------------------------- */

static void on_stored(int r, const struct store_result *result, void *ctx)
{
	struct append *a = ctx;

	a->storing = false;
	stream_hub_written(streams_hub(a->b->streams), &a->writer,
			   r ? -1 : result->stream_append.bytes,
			   r == 0 && result->stream_append.stored);
	if (a->call)
		append_reply(a, r, result);
	else
		append_free(a);
}

static struct store_audit append_audit(const struct append *a)
{
	/* Each append would be too much, and what is audited is kept. */
	if (!a->end)
		return (struct store_audit){ 0 };
	return api_audit(a->call,
			 a->options.kind == STORE_STREAM_INPUT
				 ? "input.stream.end"
				 : "output.stream.end",
			 a->options.job);
}

static void append_store(struct append *a)
{
	const struct store_stream_append append = {
		.job = a->options.job,
		.kind = a->options.kind,
		.writer = { a->options.execution, a->key },
		.from = a->from,
		.records = { a->lines.text.data, a->lines.text.len },
		.n = a->lines.n,
		.end = a->end,
		.limit_bytes = (int64_t)MIN(a->b->config->max_stream_bytes,
					    (uint64_t)INT64_MAX),
		.audit = append_audit(a),
	};
	const struct store_done done = { NULL, on_stored, a };
	int r = store_stream_append(a->b->store, &append, done);

	if (r) {
		stream_hub_written(streams_hub(a->b->streams), &a->writer, -1,
				   false);
		api_start(a->call, r);
		return;
	}
	a->storing = true;
	metrics_stream_bytes(a->b->metrics, a->lines.text.len);
	stream_lines_deinit(&a->lines); /* the store has its own copy */
}

/* --- room ---------------------------------------------------------------- */

static void append_go_on(struct append *a, enum stream_verdict v)
{
	switch (v) {
	case STREAM_ADMITTED:
		append_store(a);
		break;
	case STREAM_FULL:
		api_problem(a->call, 503, "stream_full",
			    "nothing was stored: the reader of the stream is "
			    "too far behind; try again");
		break;
	case STREAM_STOPPING:
		api_problem(a->call, 503, "stopping",
			    "nothing was stored: the backend is stopping");
		break;
	}
}

static void on_verdict(struct stream_writer *w, enum stream_verdict v)
{
	append_go_on((struct append *)w, v);
}

static void append_queue(struct append *a)
{
	enum stream_verdict verdict;
	bool waits;
	int r;

	if (!a->lines.n && !a->end) { /* only asks: nobody is in its way */
		append_store(a);
		return;
	}
	a->writer.on_verdict = on_verdict;
	a->writer.bytes = a->lines.text.len;
	r = stream_hub_write(streams_hub(a->b->streams), a->options.job,
			     a->options.kind, (int64_t)clock_mono_ms(),
			     &a->writer, &verdict, &waits);
	if (r)
		api_start(a->call, r);
	else if (waits)
		streams_watch(a->b->streams);
	else
		append_go_on(a, verdict);
}

/* --- the body ------------------------------------------------------------ */

static void on_next(int r, const struct store_result *result, void *ctx)
{
	struct api_call *call = ctx;
	const struct append *a = call->state;
	int64_t next = result->stream_append.next;
	int64_t record = (a->from < 0 ? next : a->from) + a->lines.n;
	const struct http_problem_member members[2] = {
		{ "record", record },
		{ "offset", a->lines.bad_offset },
	};

	if (r)
		append_reply(call->state, r, result);
	else
		api_problem_two(call, 400, "invalid_record", members,
				"nothing was stored: record %lld is not one "
				"JSON value: byte %lld of its line",
				(long long)record,
				(long long)a->lines.bad_offset);
}

/* Its number is known to the store alone. */
static void append_refuse(struct append *a)
{
	const struct store_stream_append ask = {
		.job = a->options.job,
		.kind = a->options.kind,
		.writer = { a->options.execution, NULL },
		.from = -1,
	};

	api_start(a->call, store_stream_append(a->b->store, &ask,
					       api_done(a->call, on_next)));
}

/* from and end of the query; false: answered. */
static bool append_query(struct append *a)
{
	int64_t end;

	if (!api_query_int(a->call, "from", 0, INT64_MAX, -1, &a->from) ||
	    !api_query_int(a->call, "end", 0, 1, 0, &end) ||
	    !api_idempotency_key(a->call, &a->key))
		return false;
	a->end = end;
	return true;
}

void stream_append_start(struct api_call *call,
			 const struct stream_append_options *options,
			 const uint8_t *body, size_t len)
{
	size_t max = MIN((size_t)call->b->config->max_value_bytes,
			 (size_t)STREAM_APPEND_MAX_BYTES);
	struct append *a = calloc(1, sizeof(*a));
	int r;

	if (!a) {
		api_start(call, -ENOMEM);
		return;
	}
	a->b = call->b;
	a->call = call;
	a->options = *options;
	call->state = a;
	call->on_end = on_end;
	if (!append_query(a))
		return;
	r = stream_lines_parse(&a->lines, body, len, max, options->check);
	if (r == STREAM_LINES_E_TOO_LARGE)
		api_problem(call, 413, "too_large",
			    "nothing was stored: line %lld of the records is "
			    "longer than %zu bytes",
			    (long long)a->lines.n + 1, max);
	else if (r == STREAM_LINES_E_INVALID)
		append_refuse(a);
	else if (r)
		api_start(call, r);
	else
		append_queue(a);
}
