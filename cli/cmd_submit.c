/* cronium submit: like run, but does not wait. */
#include <stdio.h>

#include "cli/api.h"
#include "cli/command.h"
#include "cli/job_request.h"
#include "cli/output.h"
#include "common/json.h"

static const struct option_spec submit_specs[] = { JOB_OPTIONS,
						   CLI_SERVER_OPTIONS };

static int submit_run(const void *options, char **words, size_t n_words)
{
	const struct job_options *o = options;
	_cleanup_json_ json_t *job = NULL;
	struct buf body = { 0 };
	struct api api;

	if (job_request_build(o, words, n_words, &body) < 0) {
		buf_deinit(&body);
		return CLI_USAGE;
	}
	if (api_open(&api, &o->globals) < 0) {
		buf_deinit(&body);
		return CLI_FAILED;
	}
	job = job_request_submit(&api, &body);
	buf_deinit(&body);
	api_close(&api);
	if (!job)
		return CLI_FAILED;
	if (o->globals.json)
		output_json(job);
	else
		puts(json_get_str(job, "id", ""));
	return CLI_OK;
}

const struct command command_submit = {
	.name = "submit",
	.words = "SCRIPT [-- ARG...]",
	.summary = "Hands a script over and prints the job's id",
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
