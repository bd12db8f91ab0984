/* cronium submit: like run, but does not wait. */
#include <stdio.h>

#include "cli/api.h"
#include "cli/command.h"
#include "cli/job_request.h"
#include "cli/job_view.h"
#include "cli/output.h"
#include "cli/stream_send.h"
#include "common/json.h"

static const struct option_spec submit_specs[] = { JOB_OPTIONS,
						   CLI_SERVER_OPTIONS };

static void submit_print(const struct job_options *o, const json_t *job)
{
	if (o->globals.json)
		output_json(job);
	else
		puts(json_get_str(job, "id", ""));
	fflush(stdout); /* whoever reads it need not wait for the records */
}

static int submit_send(struct api *api, const json_t *job, int fd)
{
	const struct stream_send_job to = {
		.id = json_get_str(job, "id", ""),
		.fd = fd,
	};
	uint64_t n;

	return stream_send_job(api, &to, &n);
}

/* It may have ended already: --no-wait. */
static int submit_answer(struct api *api, const struct job_options *o,
			 const json_t *job, int fd)
{
	char sentence[1024];

	submit_print(o, job);
	if (job_view_ended(job)) {
		if (job_view_sentence(job, sentence, sizeof(sentence)))
			output_error("%s", sentence);
		return job_view_exit_code(job);
	}
	return fd < 0 ? CLI_OK : submit_send(api, job, fd);
}

static int submit_run(const void *options, char **words, size_t n_words)
{
	const struct job_options *o = options;
	_cleanup_json_ json_t *job = NULL;
	struct buf body = { 0 };
	_cleanup_(stream_send_closep) int fd = -1;
	struct api api;
	int exit_code = CLI_FAILED;

	if (job_request_build(o, words, n_words, true, &body) < 0 ||
	    (o->input_stream &&
	     (fd = stream_send_open("input-stream", o->input_stream)) < 0)) {
		buf_deinit(&body);
		return CLI_USAGE;
	}
	if (api_open(&api, &o->globals) < 0) {
		buf_deinit(&body);
		return CLI_FAILED;
	}
	job = job_request_submit(&api, &body);
	buf_deinit(&body);
	if (job)
		exit_code = submit_answer(&api, o, job, fd);
	api_close(&api);
	return exit_code;
}

const struct command command_submit = {
	.name = "submit",
	.words = "SCRIPT|PAYLOAD [-- ARG...]",
	.summary = "Hands a script or payload over and prints the job's id",
	.details = "The job runs on when cronium has ended; `cronium logs -f "
		   "JOB` watches it. --json\nprints the job object.\n",
	.options = submit_specs,
	.n_options = ARRAY_SIZE(submit_specs),
	.options_bytes = sizeof(struct job_options),
	.words_min = 1,
	.words_max = SIZE_MAX,
	.run = submit_run,
	.free_options = job_options_free,
};
