/* cronium tail: a job's output stream, as it grows. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cli/api.h"
#include "cli/api_stream.h"
#include "cli/command.h"
#include "cli/output.h"
#include "common/buf.h"
#include "common/id.h"

#define TAIL_LINE_MAX_BYTES (16 * 1024 * 1024) /* above any --max-value-bytes */

struct tail_options {
	struct cli_globals globals;
	uint64_t from;
	bool no_follow;
};

struct tail {
	struct api_stream stream;
	const struct tail_options *options;
	const char *id;
	uint64_t next;   /* number of the record that comes next */
	struct buf line; /* the beginning of it */
};

static const struct option_spec tail_specs[] = {
	CLI_OPTION("from", 'n', OPTION_UINT, struct tail_options, from, "N",
		   "0", "begin with record N"),
	CLI_OPTION("no-follow", 0, OPTION_FLAG, struct tail_options, no_follow,
		   NULL, NULL, "end with what is there now"),
	CLI_SERVER_OPTIONS,
};

static void tail_write(struct tail *t, const void *data, size_t len)
{
	int r = api_stream_is_over(&t->stream)
			? 0
			: output_bytes(STDOUT_FILENO, data, len);

	if (r < 0 && r != -EPIPE)
		output_error("cannot write the records: %s", strerror(-r));
	if (r < 0)
		api_stream_finish(&t->stream,
				  r == -EPIPE ? CLI_CANCELLED : CLI_FAILED);
}

/* Whole lines only: what breaks off in the middle comes again. */
static void on_data(void *ctx, const uint8_t *data, size_t len)
{
	struct tail *t = ctx;
	const uint8_t *last = memrchr(data, '\n', len);
	size_t whole = last ? (size_t)(last - data) + 1 : 0;

	for (size_t i = 0; i < whole; i++)
		t->next += data[i] == '\n';
	if (whole) {
		tail_write(t, t->line.data, t->line.len);
		tail_write(t, data, whole);
		buf_clear(&t->line);
	}
	if (t->line.len + len - whole > TAIL_LINE_MAX_BYTES ||
	    buf_append(&t->line, data + whole, len - whole) < 0) {
		output_error("record %" PRIu64 " of %s is too large", t->next,
			     t->id);
		api_stream_finish(&t->stream, CLI_FAILED);
	}
}

static bool on_end(void *ctx, bool whole)
{
	struct tail *t = ctx;

	if (whole)
		api_stream_finish(&t->stream, CLI_OK);
	return whole;
}

static void on_lost(void *ctx, const char *why)
{
	struct tail *t = ctx;

	output_error("lost the server after record %" PRIu64
		     " of %s: %s; `cronium tail %s --from %" PRIu64 "` goes on",
		     t->next, t->id, why, t->id, t->next);
	api_stream_finish(&t->stream, CLI_FAILED);
}

static void on_refused(void *ctx, const struct api_reply *reply)
{
	struct tail *t = ctx;

	api_explain(t->stream.api, reply, "read the stream to its end");
	api_stream_finish(&t->stream, CLI_FAILED);
}

static void on_interrupt(void *ctx)
{
	struct tail *t = ctx;

	api_stream_finish(&t->stream, CLI_CANCELLED);
}

static int on_ask(void *ctx, struct buf *path)
{
	struct tail *t = ctx;

	buf_clear(&t->line);
	return buf_printf(path, "/v1/jobs/%s/output/stream?from=%" PRIu64 "%s",
			  t->id, t->next,
			  t->options->no_follow ? "" : "&follow=1");
}

static int tail_run(const void *options, char **words, size_t n_words)
{
	static const struct api_stream_ops ops = {
		.on_ask = on_ask,
		.on_data = on_data,
		.on_end = on_end,
		.on_lost = on_lost,
		.on_refused = on_refused,
		.on_interrupt = on_interrupt,
	};
	const struct tail_options *o = options;
	struct api api;
	struct tail t = {
		.stream = { .api = &api, .ops = &ops, .ctx = &t },
		.options = o,
		.id = words[0],
		.next = o->from,
	};
	int exit_code;

	if (!id_valid("job", words[0])) {
		output_error("'%s' is no job; `cronium jobs` lists them",
			     words[0]);
		return CLI_USAGE;
	}
	if (api_open(&api, &o->globals) < 0)
		return CLI_FAILED;
	exit_code = api_stream_run(&t.stream, CLI_FAILED);
	buf_deinit(&t.line);
	api_close(&api);
	return exit_code;
}

const struct command command_tail = {
	.name = "tail",
	.words = "JOB",
	.summary = "Prints a job's output stream, as it grows",
	.details = "Every record that the script streams, one JSON value a "
		   "line, to the stream's end. Ends\nwith 1 where the job did "
		   "not succeed, so that the stream is not whole. A slow "
		   "reader slows\nthe script.\n",
	.options = tail_specs,
	.n_options = ARRAY_SIZE(tail_specs),
	.options_bytes = sizeof(struct tail_options),
	.words_min = 1,
	.words_max = 1,
	.run = tail_run,
};
