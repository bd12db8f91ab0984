/* cronium tail: a job's output stream, as it grows. */
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/command.h"
#include "cli/output.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/id.h"
#include "common/json.h"

#define TAIL_AGAIN_MS 200
#define TAIL_WARN_MS 3000
/* How long the server may be away before we give up. */
#define TAIL_PATIENCE_MS (2 * 60 * 1000)
#define TAIL_LINE_MAX_BYTES (16 * 1024 * 1024) /* above any --max-value-bytes */

struct tail_options {
	struct cli_globals globals;
	uint64_t from;
	bool no_follow;
};

struct tail {
	struct api *api;
	const struct tail_options *options;
	const char *id;
	uint64_t next;   /* number of the record that comes next */
	struct buf line; /* the beginning of it */
	int status;      /* of the reply under way */
	struct buf problem;
	uint64_t heard_ms;
	struct event *again, *interrupt;
	bool warned, over;
	int exit_code;
};

static const struct option_spec tail_specs[] = {
	CLI_OPTION("from", 'n', OPTION_UINT, struct tail_options, from, "N",
		   "0", "begin with record N"),
	CLI_OPTION("no-follow", 0, OPTION_FLAG, struct tail_options, no_follow,
		   NULL, NULL, "end with what is there now"),
	CLI_SERVER_OPTIONS,
};

static void tail_start(struct tail *t);

static void tail_finish(struct tail *t, int exit_code)
{
	if (!t->over)
		t->exit_code = exit_code;
	t->over = true;
	event_base_loopbreak(t->api->base);
}

static void tail_write(struct tail *t, const void *data, size_t len)
{
	int r = t->over ? 0 : output_bytes(STDOUT_FILENO, data, len);

	if (r < 0 && r != -EPIPE)
		output_error("cannot write the records: %s", strerror(-r));
	if (r < 0)
		tail_finish(t, r == -EPIPE ? CLI_CANCELLED : CLI_FAILED);
}

/* Whole lines only: what breaks off in the middle comes again. */
static void tail_take(struct tail *t, const uint8_t *data, size_t len)
{
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
		tail_finish(t, CLI_FAILED);
	}
}

static void on_headers(struct backend_call *call,
		       const struct backend_response *r, void *ctx)
{
	struct tail *t = ctx;

	t->status = r->status;
	t->heard_ms = clock_mono_ms();
	t->warned = false;
	buf_clear(&t->line);
	buf_clear(&t->problem);
}

static void on_data(struct backend_call *call, const uint8_t *data, size_t len,
		    void *ctx)
{
	struct tail *t = ctx;

	t->heard_ms = clock_mono_ms();
	if (t->status == 200)
		tail_take(t, data, len);
	else if (buf_append(&t->problem, data, len) < 0)
		tail_finish(t, CLI_FAILED);
}

static void tail_refused(struct tail *t)
{
	_cleanup_json_ json_t *o = json_parse_object(t->problem.data,
						     t->problem.len, NULL, 0);
	struct api_reply reply = { .status = t->status };

	snprintf(reply.detail, sizeof(reply.detail), "%s",
		 json_get_str(o, "detail", "the server refuses it"));
	api_explain(t->api, &reply, "read the stream to its end");
	tail_finish(t, CLI_FAILED);
}

static void tail_again(struct tail *t, const char *why)
{
	const struct timeval tv = clock_timeval(TAIL_AGAIN_MS);
	uint64_t away_ms = clock_mono_ms() - t->heard_ms;

	if (away_ms > TAIL_PATIENCE_MS) {
		output_error("lost the server after record %" PRIu64
			     " of %s: %s; `cronium tail %s --from %" PRIu64
			     "` goes on",
			     t->next, t->id, why, t->id, t->next);
		tail_finish(t, CLI_FAILED);
		return;
	}
	if (away_ms > TAIL_WARN_MS && !t->warned) {
		output_warn("the server is away (%s); waiting for it", why);
		t->warned = true;
	}
	event_add(t->again, &tv);
}

static void on_done(struct backend_call *call, const struct backend_response *r,
		    void *ctx)
{
	struct tail *t = ctx;

	if (t->over)
		return;
	/* A stream may be silent for as long as it likes. */
	if (t->status == 200)
		t->heard_ms = clock_mono_ms();
	if (r->error)
		tail_again(t, r->detail);
	else if (t->status == 200)
		tail_finish(t, CLI_OK);
	else if (t->status == 503)
		tail_again(t, "it is busy");
	else
		tail_refused(t);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	tail_start(arg);
}

static void on_interrupt(evutil_socket_t fd, short what, void *arg)
{
	tail_finish(arg, CLI_CANCELLED);
}

static void tail_start(struct tail *t)
{
	static const struct backend_call_ops ops = {
		.on_headers = on_headers,
		.on_data = on_data,
		.on_done = on_done,
	};
	char path[160];
	const struct backend_request req = {
		.method = "GET",
		.path = path,
		.retry = BACKEND_RETRY_SAFE,
	};

	t->status = 0;
	snprintf(path, sizeof(path),
		 "/v1/jobs/%s/output/stream?from=%" PRIu64 "%s", t->id, t->next,
		 t->options->no_follow ? "" : "&follow=1");
	if (backend_client_call(t->api->client, &req, &ops, t, NULL) < 0) {
		output_error("out of memory");
		tail_finish(t, CLI_FAILED);
	}
}

static void tail_loop(struct tail *t)
{
	t->again = event_new(t->api->base, -1, 0, on_again, t);
	t->interrupt = evsignal_new(t->api->base, SIGINT, on_interrupt, t);
	if (!t->again || !t->interrupt || event_add(t->interrupt, NULL) < 0) {
		output_error("out of memory");
		return;
	}
	tail_start(t);
	while (!t->over && event_base_dispatch(t->api->base) == 0)
		;
}

static int tail_run(const void *options, char **words, size_t n_words)
{
	const struct tail_options *o = options;
	struct api api;
	struct tail t = {
		.api = &api,
		.options = o,
		.id = words[0],
		.next = o->from,
		.heard_ms = clock_mono_ms(),
		.exit_code = CLI_FAILED,
	};

	if (!id_valid("job", words[0])) {
		output_error("'%s' is no job; `cronium jobs` lists them",
			     words[0]);
		return CLI_USAGE;
	}
	if (api_open(&api, &o->globals) < 0)
		return CLI_FAILED;
	tail_loop(&t);
	if (t.again)
		event_free(t.again);
	if (t.interrupt)
		event_free(t.interrupt);
	buf_deinit(&t.line);
	buf_deinit(&t.problem);
	api_close(&api);
	return t.exit_code;
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
