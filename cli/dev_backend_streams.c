/* The fake backend: streams of records. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/dev_backend_impl.h"
#include "cli/dev_fixtures.h"
#include "common/json.h"

#define RECORDS_TYPE "application/x-ndjson"

/* --- input ---------------------------------------------------------------- */

/* The reader has all that was stored before the break. */
static void break_off(struct dev_call *call)
{
	if (!http_respond_flushed(call->ex))
		return;
	http_respond_abort(call->ex);
	dev_call_free(call);
}

static void on_drain(struct http_exchange *ex, void *data)
{
	struct dev_call *call = data;

	if (call->b->state->input.broken)
		break_off(call);
}

static void send_records(struct dev_call *call, int64_t from)
{
	const struct dev_stream *s = &call->b->state->input;
	char number[24];
	const struct http_header headers[] = {
		{ "content-type", RECORDS_TYPE },
		{ "x-cronium-stream-from", number },
		{ "cache-control", "no-store" },
	};
	const uint8_t *text;
	size_t len;

	snprintf(number, sizeof(number), "%lld", (long long)from);
	text = dev_stream_from(s, from, &len);
	/* A reply that is broken off takes along what waits to be sent. */
	if (s->broken)
		http_exchange_set_backlog(call->ex, 1);
	http_exchange_on_drain(call->ex, on_drain);
	http_respond_start(call->ex, 200, headers, ARRAY_SIZE(headers));
	if (len)
		http_respond_write(call->ex, text, len);
	if (s->broken) {
		break_off(call);
	} else if (s->ended) {
		http_respond_end(call->ex);
		dev_call_free(call);
	}
}

void dev_get_input_stream(struct dev_call *call, const uint8_t *body,
			  size_t len)
{
	struct dev_state *s = call->b->state;
	int64_t from;

	if (!dev_query_number(call, "from", 0, &from))
		return;
	dev_log_say(s->log, "stream_input from %lld -> %lld records",
		    (long long)from, (long long)MAX(s->input.n - from, 0));
	if (from > s->input.n)
		dev_problem_with(call, 409, "stream_gap", "next", s->input.n,
				 "the stream goes on with record %lld, not "
				 "%lld",
				 (long long)s->input.n, (long long)from);
	else if (s->input.broken && from == s->input.n)
		dev_problem_with(call, 409, "stream_broken", "next", from,
				 "the stream ends after %lld records, because "
				 "the fixtures say that its writer fails",
				 (long long)from);
	else
		send_records(call, from);
}

/* --- output --------------------------------------------------------------- */

static void refuse(struct dev_call *call, int r, int64_t from)
{
	int64_t n = call->b->state->output.n;

	if (r == DEV_STREAM_E_GAP)
		dev_problem_with(call, 409, "stream_gap", "next", n,
				 "records are missing before %lld: the stream "
				 "goes on with record %lld",
				 (long long)from, (long long)n);
	else if (r == DEV_STREAM_E_CONFLICT)
		dev_problem_with(call, 409, "stream_conflict", "next", n,
				 "other records are stored from %lld on: "
				 "somebody else writes this stream",
				 (long long)from);
	else if (r == DEV_STREAM_E_ENDED)
		dev_problem_with(call, 409, "stream_ended", "next", n,
				 "nothing more can be appended: the stream has "
				 "ended after %lld records",
				 (long long)n);
	else if (r == DEV_STREAM_E_LIMIT)
		dev_problem_with(call, 413, "too_large", "next", n,
				 "nothing was stored: here a stream holds at "
				 "most %d bytes",
				 DEV_STREAM_MAX_BYTES);
	else
		dev_no_memory(call);
}

void dev_post_output_stream(struct dev_call *call, const uint8_t *body,
			    size_t len)
{
	struct dev_state *s = call->b->state;
	int64_t from, end, added;
	int r;

	if (!dev_query_number(call, "from", -1, &from) ||
	    !dev_query_number(call, "end", 0, &end))
		return;
	if (from < 0 && dev_repeated(call, DEV_KEYS_STREAMS,
				     end ? "end" : "append", body, len))
		return;
	r = dev_stream_append(&s->output, from, body, len, end, &added);
	if (r) {
		refuse(call, r, from);
		return;
	}
	if (added)
		dev_log_say(s->log, "stream_output %lld records -> %lld",
			    (long long)added, (long long)s->output.n);
	if (end)
		dev_log_say(s->log, "stream_output ends after %lld records",
			    (long long)s->output.n);
	dev_answer_json(call, 200,
			json_pack("{s:I}", "next", (json_int_t)s->output.n));
}
