/* cronium send: records from stdin, or a file, to a job's input stream. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/api.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/stream_send.h"
#include "common/id.h"

struct send_options {
	struct cli_globals globals;
	const char *file;
	bool keep_open;
};

static const struct option_spec send_specs[] = {
	CLI_OPTION("file", 'f', OPTION_STRING, struct send_options, file,
		   "FILE", "-", "where the records are; - is stdin"),
	CLI_OPTION("keep-open", 'k', OPTION_FLAG, struct send_options,
		   keep_open, NULL, NULL,
		   "do not end the stream: more will be sent later"),
	CLI_SERVER_OPTIONS,
};

static int send_run(const void *options, char **words, size_t n_words)
{
	const struct send_options *o = options;
	_cleanup_(stream_send_closep) int fd = -1;
	struct stream_send_job job = { .id = words[0],
				       .keep_open = o->keep_open };
	struct api api;
	uint64_t records;
	int exit_code;

	if (!id_valid("job", words[0])) {
		output_error("'%s' is no job; `cronium jobs` lists them",
			     words[0]);
		return CLI_USAGE;
	}
	job.fd = fd = stream_send_open("file", o->file);
	if (fd < 0)
		return CLI_USAGE;
	if (api_open(&api, &o->globals) < 0)
		return CLI_FAILED;
	exit_code = stream_send_job(&api, &job, &records);
	if (o->globals.json)
		printf("{\"job\":\"%s\",\"records\":%" PRIu64 "}\n", words[0],
		       records);
	api_close(&api);
	return exit_code;
}

const struct command command_send = {
	.name = "send",
	.words = "JOB",
	.summary = "Sends records to a job that reads its input stream",
	.details = "A record is one JSON value on one line. The end of the "
		   "file ends the stream, unless\n--keep-open. Sends no faster "
		   "than the script reads; what was acknowledged is "
		   "stored.\n--json prints {\"job\",\"records\"}.\n",
	.options = send_specs,
	.n_options = ARRAY_SIZE(send_specs),
	.options_bytes = sizeof(struct send_options),
	.words_min = 1,
	.words_max = 1,
	.run = send_run,
};
