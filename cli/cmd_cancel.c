/* cronium cancel: ends jobs. */
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/command.h"
#include "cli/output.h"
#include "common/json.h"
#include "common/percent.h"

struct cancel_options {
	struct cli_globals globals;
	const char *reason;
};

static const struct option_spec cancel_specs[] = {
	CLI_OPTION("reason", 0, OPTION_STRING, struct cancel_options, reason,
		   "TEXT", NULL, "kept with the job"),
	CLI_SERVER_OPTIONS,
};

static json_t *cancel_one(struct api *api, const struct cancel_options *o,
			  const char *id)
{
	_cleanup_json_ json_t *body = o->reason ? json_pack("{s:s}", "reason",
							    o->reason)
						: json_object();
	struct buf path = { 0 }, text = { 0 };
	struct api_request request = { .method = "POST",
				       .content_type = "application/json" };
	json_t *job = NULL;

	if (!buf_append_str(&path, "/v1/jobs/") && !percent_append(&path, id) &&
	    !buf_append_str(&path, "/cancel") && buf_cstr(&path) && body &&
	    !json_append(&text, body)) {
		request.path = (char *)path.data;
		request.body = text.data;
		request.body_len = text.len;
		job = api_call_json(api, &request, "cancel the job");
	}
	buf_deinit(&path);
	buf_deinit(&text);
	return job;
}

static int cancel_run(const void *options, char **words, size_t n_words)
{
	const struct cancel_options *o = options;
	int exit_code = CLI_OK;
	struct api api;

	if (api_open(&api, &o->globals) < 0)
		return CLI_FAILED;
	for (size_t i = 0; i < n_words; i++) {
		_cleanup_json_ json_t *job = cancel_one(&api, o, words[i]);

		if (!job)
			exit_code = CLI_FAILED;
		else if (o->globals.json)
			output_json(job);
		else
			printf("%s %s\n", words[i],
			       json_get_str(job, "state", "?"));
	}
	api_close(&api);
	return exit_code;
}

const struct command command_cancel = {
	.name = "cancel",
	.words = "JOB...",
	.summary = "Ends jobs: first politely, then by force",
	.options = cancel_specs,
	.n_options = ARRAY_SIZE(cancel_specs),
	.options_bytes = sizeof(struct cancel_options),
	.words_min = 1,
	.words_max = SIZE_MAX,
	.run = cancel_run,
};
