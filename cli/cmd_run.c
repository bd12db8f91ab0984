/* cronium run: submit, follow, hand over the output, end as the script did. */
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/command.h"
#include "cli/follow.h"
#include "cli/job_cancel.h"
#include "cli/job_output.h"
#include "cli/job_request.h"
#include "cli/job_result.h"
#include "cli/job_view.h"
#include "cli/output.h"
#include "cli/stream_send.h"
#include "common/json.h"

static const struct option_spec run_specs[] = { JOB_OPTIONS,
						CLI_SERVER_OPTIONS };

static int run_finish(struct api *api, const struct cli_globals *globals,
		      const json_t *job)
{
	struct buf output = { 0 };
	int r = job_output_fetch(api, json_get_str(job, "id", ""), &output);

	job_view_warn_dropped(job);
	job_result_explain(job);
	if (!r)
		r = globals->json ? job_result_print_json(job, &output)
				  : job_output_print(&output);
	buf_deinit(&output);
	if (r < 0 && job_view_exit_code(job) == CLI_OK)
		return CLI_FAILED;
	return job_view_exit_code(job);
}

/* Records on their way to the script while it runs. */
struct run_stream {
	struct api *api;
	const char *id;
	bool failed;
};

static void run_on_sent(enum stream_send_end end, void *ctx)
{
	struct run_stream *stream = ctx;

	/* A script need not read to the end. */
	if (end != STREAM_SEND_FAILED)
		return;
	stream->failed = true;
	if (job_cancel_start(stream->api, stream->id,
			     "its input stream cannot be sent") < 0)
		output_error("out of memory: %s waits for records that nobody "
			     "sends; cancel it",
			     stream->id);
}

static int run_follow(struct api *api, const struct cli_globals *globals,
		      const char *id)
{
	const struct follow_options options = {
		.stdout_fd = STDERR_FILENO,
		.stderr_fd = STDERR_FILENO,
		.cancel = true,
		.progress = true,
	};
	_cleanup_json_ json_t *job = NULL;
	int exit_code = follow_own_job(api, id, &options, &job);

	return exit_code == CLI_OK ? run_finish(api, globals, job) : exit_code;
}

static int run_stream(struct api *api, const struct cli_globals *globals,
		      const char *id, int fd)
{
	struct run_stream stream = { .api = api, .id = id };
	const struct stream_send_options options = {
		.fd = fd,
		.id = id,
		.on_end = run_on_sent,
		.ctx = &stream,
	};
	struct stream_send *send = NULL;
	int r = fd < 0 ? 0 : stream_send_new(&send, api, &options);
	int exit_code;

	if (r < 0) {
		output_error("--input-stream: cannot read it: %s",
			     strerror(-r));
		run_on_sent(STREAM_SEND_FAILED, &stream);
	}
	exit_code = run_follow(api, globals, id);
	stream_send_free(send);
	/* Nobody but us has cancelled it. */
	return stream.failed && exit_code == CLI_CANCELLED ? CLI_FAILED
							   : exit_code;
}

static int run_run(const void *options, char **words, size_t n_words)
{
	const struct job_options *o = options;
	_cleanup_json_ json_t *job = NULL;
	struct buf body = { 0 };
	struct api api;
	_cleanup_(stream_send_closep) int fd = -1;
	int exit_code = CLI_NOT_RUN;

	if (job_request_build(o, words, n_words, false, &body) < 0 ||
	    (o->input_stream &&
	     (fd = stream_send_open("input-stream", o->input_stream)) < 0)) {
		buf_deinit(&body);
		return CLI_USAGE;
	}
	if (api_open(&api, &o->globals) < 0) {
		buf_deinit(&body);
		return CLI_NOT_RUN;
	}
	job = job_request_submit(&api, &body);
	buf_deinit(&body);
	if (job) {
		output_note("%s", json_get_str(job, "id", ""));
		exit_code = run_stream(&api, &o->globals,
				       json_get_str(job, "id", ""), fd);
	}
	api_close(&api);
	return exit_code;
}

const struct command command_run = {
	.name = "run",
	.words = "SCRIPT|PAYLOAD [-- ARG...]",
	.summary = "Runs a script or a payload and waits for it",
	.details =
		"The script's log goes to stderr, its output (JSON) alone to "
		"stdout. cronium ends\nwith the script's exit code; 124: it "
		"took longer than --timeout; 130: it was\ncancelled, by Ctrl-C "
		"for example; 125: it was not run, or got lost; 2: wrong "
		"usage.\n\n--json prints one object instead: job, state, "
		"reason, exit_code, signal, executor,\nlog_dropped_bytes, "
		"duration_ms, output.\n",
	.options = run_specs,
	.n_options = ARRAY_SIZE(run_specs),
	.options_bytes = sizeof(struct job_options),
	.words_min = 1,
	.words_max = SIZE_MAX,
	.run = run_run,
	.free_options = job_options_free,
};
