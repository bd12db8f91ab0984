/* cronium logs: what a job wrote, to the descriptors it wrote to. */
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/command.h"
#include "cli/follow.h"
#include "cli/job_view.h"
#include "cli/log_frame.h"
#include "cli/output.h"
#include "common/frame.h"
#include "common/json.h"
#include "common/percent.h"

struct logs_options {
	struct cli_globals globals;
	bool follow;
};

static const struct option_spec logs_specs[] = {
	CLI_OPTION("follow", 'f', OPTION_FLAG, struct logs_options, follow,
		   NULL, NULL, "go on until the job has ended"),
	CLI_SERVER_OPTIONS,
};

static int logs_follow(struct api *api, const struct logs_options *o,
		       const char *id)
{
	const struct follow_options options = {
		.stdout_fd = STDOUT_FILENO,
		.stderr_fd = STDERR_FILENO,
		.json = o->globals.json,
		.progress = true,
	};
	_cleanup_json_ json_t *job = NULL;

	switch (follow_job(api, id, &options, &job)) {
	case FOLLOW_ENDED:
		job_view_warn_dropped(job);
		output_note("%s", json_get_str(job, "state", ""));
		return CLI_OK;
	case FOLLOW_LEFT:
		return CLI_CANCELLED;
	case FOLLOW_LOST:
	case FOLLOW_REFUSED:
		break;
	}
	return CLI_FAILED;
}

/* Each frame to its descriptor; with --json as one line of JSON. */
static int logs_frame(const struct logs_options *o, struct log_frame *log,
		      const struct frame *f)
{
	if (f->type > FRAME_NOTICE)
		return 0;
	if (o->globals.json)
		return log_frame_print_json(log, f);
	return output_bytes(f->type == FRAME_STDOUT ? STDOUT_FILENO
						    : STDERR_FILENO,
			    f->payload, f->len);
}

static int logs_print(const struct logs_options *o, const struct buf *body)
{
	struct frame_decoder decoder = { 0 };
	struct log_frame log = { 0 };
	struct frame frame;
	int r = frame_decoder_feed(&decoder, body->data, body->len);

	while (!r && !(r = frame_decoder_next(&decoder, &frame)))
		r = logs_frame(o, &log, &frame);
	frame_decoder_deinit(&decoder);
	return r == FRAME_E_AGAIN ? log_frame_finish_json(&log) : r;
}

static int logs_fetch(struct api *api, const struct logs_options *o,
		      const char *id)
{
	struct buf path = { 0 };
	struct api_request request = { .method = "GET",
				       .accept = FRAME_CONTENT_TYPE };
	struct api_reply reply = { 0 };
	int exit_code = CLI_OK;

	if (buf_append_str(&path, "/v1/jobs/") || percent_append(&path, id) ||
	    buf_append_str(&path, "/logs") || !buf_cstr(&path)) {
		buf_deinit(&path);
		return CLI_FAILED;
	}
	request.path = (char *)path.data;
	if (!api_call(api, &request, &reply)) {
		api_explain(api, &reply, "read the log");
		exit_code = CLI_FAILED;
	} else if (logs_print(o, &reply.body) != 0) {
		output_error("cannot print the log: it is broken, or the other "
			     "side of the pipe is closed");
		exit_code = CLI_FAILED;
	}
	api_reply_deinit(&reply);
	buf_deinit(&path);
	return exit_code;
}

static int logs_run(const void *options, char **words, size_t n_words)
{
	const struct logs_options *o = options;
	struct api api;
	int exit_code;

	if (api_open(&api, &o->globals) < 0)
		return CLI_FAILED;
	exit_code = o->follow ? logs_follow(&api, o, words[0])
			      : logs_fetch(&api, o, words[0]);
	api_close(&api);
	return exit_code;
}

const struct command command_logs = {
	.name = "logs",
	.words = "JOB",
	.summary = "Prints what a job wrote",
	.details =
		"stdout of the script goes to stdout, the rest to stderr. "
		"--json prints a line\n{\"stream\",\"text\"} for each piece.\n",
	.options = logs_specs,
	.n_options = ARRAY_SIZE(logs_specs),
	.options_bytes = sizeof(struct logs_options),
	.words_min = 1,
	.words_max = 1,
	.run = logs_run,
};
