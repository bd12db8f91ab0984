/* cronium job: everything about one. */
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/command.h"
#include "cli/job_cost.h"
#include "cli/job_output.h"
#include "cli/job_view.h"
#include "cli/output.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/percent.h"

struct job_show_options {
	struct cli_globals globals;
	bool output;
};

static const struct option_spec job_specs[] = {
	CLI_OPTION("output", 'o', OPTION_FLAG, struct job_show_options, output,
		   NULL, NULL, "nothing but what the script set as its output"),
	CLI_SERVER_OPTIONS,
};

static void job_line(const char *name, const char *value)
{
	if (value)
		printf(JOB_LINE_FORMAT "%s\n", name, value);
}

static void job_line_number(const char *name, const json_t *job,
			    const char *key)
{
	const json_t *value = json_object_get(job, key);

	if (json_is_integer(value))
		printf(JOB_LINE_FORMAT "%lld\n", name,
		       (long long)json_integer_value(value));
}

static void job_line_bytes(const char *name, const json_t *job, const char *key)
{
	const json_t *value = json_object_get(job, key);

	if (json_is_integer(value))
		printf(JOB_LINE_FORMAT "%lld bytes\n", name,
		       (long long)json_integer_value(value));
}

static void job_line_time(const char *name, const json_t *job, const char *key)
{
	char text[64];

	if (json_get_int(job, key, 0))
		job_line(name, output_time(json_get_int(job, key, 0), text,
					   sizeof(text)));
}

/* "2 of 3" where it may be tried again. */
static void job_line_attempt(const json_t *job)
{
	long long attempts = json_get_int(job, "attempts", 1);

	if (attempts <= 1)
		job_line_number("attempt", job, "attempt");
	else
		printf(JOB_LINE_FORMAT "%lld of %lld\n", "attempt",
		       (long long)json_get_int(job, "attempt", 1), attempts);
}

static void job_print(const json_t *job)
{
	int64_t took = job_view_duration_ms(job, clock_wall_ms());
	char text[512];

	job_line("job", json_get_str(job, "id", "?"));
	job_line("name", json_get_str(job, "name", NULL));
	printf(JOB_LINE_FORMAT, "state");
	output_coloured(job_view_colour(job), json_get_str(job, "state", "?"));
	putchar('\n');
	job_line("reason", json_get_str(job, "reason", NULL));
	job_line("waiting", json_get_str(json_object_get(job, "waiting"),
					 "message", NULL));
	job_line("session",
		 json_get_str(json_object_get(job, "session"), "name", NULL));
	job_line("capability", json_get_str(job, "capability", NULL));
	job_line("runtime", json_get_str(job, "runtime", NULL));
	job_line("executor", json_get_str(job, "executor", NULL));
	job_line("host", json_get_str(job, "host", NULL));
	job_line("for agent", json_get_str(job, "want_agent", NULL));
	job_line("agent", json_get_str(job, "agent", NULL));
	job_line("execution", json_get_str(job, "execution", NULL));
	job_line("parent", json_get_str(job, "parent", NULL));
	job_line("trace", json_get_str(job, "trace_id", NULL));
	job_line_attempt(job);
	job_line_time("next try", job, "next_try_ms");
	job_line_time("created", job, "created_ms");
	job_line_time("started", job, "started_ms");
	job_line_time("ended", job, "ended_ms");
	if (took >= 0)
		job_line("took", output_duration(took, text, sizeof(text)));
	job_line_number("exit code", job, "exit_code");
	job_line_number("signal", job, "signal");
	job_cost_print_usage(job);
	job_line_bytes("output", job, "output_bytes");
	job_line_bytes("log", job, "log_bytes");
	if (json_get_int(job, "log_dropped_bytes", 0))
		job_line_bytes("dropped", job, "log_dropped_bytes");
}

/* "output stream   12 records, 340 bytes, ended"; nothing for an unused one. */
static void job_line_stream(const char *name, const json_t *stream)
{
	long long records = json_get_int(stream, "records", 0);
	const char *from = json_get_str(stream, "from", NULL);

	if (!records && !from)
		return;
	printf(JOB_LINE_FORMAT "%lld records, %lld bytes, %s%s%s\n", name,
	       records, (long long)json_get_int(stream, "bytes", 0),
	       json_get_str(stream, "state", "?"), from ? ", from " : "",
	       from ? from : "");
}

static void job_print_streams(struct api *api, const char *job_path)
{
	char path[192];
	_cleanup_json_ json_t *streams = NULL;

	snprintf(path, sizeof(path), "%s/streams", job_path);
	streams = api_get_json(api, path, "show the job's streams");
	job_line_stream("stream in", json_object_get(streams, "input"));
	job_line_stream("stream out", json_object_get(streams, "output"));
}

static void job_print_end(const json_t *job)
{
	char text[512];

	if (job_view_ended(job) && job_view_sentence(job, text, sizeof(text)))
		printf("\n%s.\n", text);
}

static int job_show(struct api *api, const char *id, bool json)
{
	_cleanup_json_ json_t *job = NULL;
	_cleanup_(buf_deinit) struct buf path = { 0 };

	if (!buf_append_str(&path, "/v1/jobs/") && !percent_append(&path, id) &&
	    buf_cstr(&path))
		job = api_get_json(api, (char *)path.data, "show the job");
	if (!job)
		return CLI_FAILED;
	if (json) {
		output_json(job);
	} else {
		job_print(job);
		job_print_streams(api, (char *)path.data);
		job_cost_print_machine(job);
		job_print_end(job);
	}
	return CLI_OK;
}

static int job_show_output(struct api *api, const char *id)
{
	_cleanup_(buf_deinit) struct buf output = { 0 };

	if (job_output_fetch(api, id, &output) < 0)
		return CLI_FAILED;
	if (!output.len) {
		output_error("job %s has no output", id);
		return CLI_FAILED;
	}
	return job_output_print(&output) < 0 ? CLI_FAILED : CLI_OK;
}

static int job_run(const void *options, char **words, size_t n_words)
{
	const struct job_show_options *o = options;
	struct api api;
	int exit_code;

	if (api_open(&api, &o->globals) < 0)
		return CLI_FAILED;
	exit_code = o->output ? job_show_output(&api, words[0])
			      : job_show(&api, words[0], o->globals.json);
	api_close(&api);
	return exit_code;
}

const struct command command_job = {
	.name = "job",
	.words = "JOB",
	.summary = "Shows one job",
	.details = "--output prints the JSON that the script set, alone, and "
		   "fails where there is\nnone; --json the job object without "
		   "it.\n",
	.options = job_specs,
	.n_options = ARRAY_SIZE(job_specs),
	.options_bytes = sizeof(struct job_show_options),
	.words_min = 1,
	.words_max = 1,
	.run = job_run,
};
