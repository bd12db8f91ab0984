/* cronium job: everything about one. */
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/command.h"
#include "cli/job_view.h"
#include "cli/output.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/percent.h"

#define JOB_LINE_FORMAT "%-10s "

struct job_show_options {
	struct cli_globals globals;
};

static const struct option_spec job_specs[] = { CLI_SERVER_OPTIONS };

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

static void job_line_time(const char *name, const json_t *job, const char *key)
{
	char text[64];

	if (json_get_int(job, key, 0))
		job_line(name, output_time(json_get_int(job, key, 0), text,
					   sizeof(text)));
}

static void job_line_usage(const json_t *job)
{
	const json_t *usage = json_object_get(job, "usage");

	if (!json_get_int(usage, "max_rss_kb", 0))
		return;
	printf(JOB_LINE_FORMAT "%.2f s user, %.2f s system, %.1f MiB\n", "used",
	       (double)json_get_int(usage, "user_us", 0) / 1e6,
	       (double)json_get_int(usage, "system_us", 0) / 1e6,
	       (double)json_get_int(usage, "max_rss_kb", 0) / 1024);
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
	job_line("runtime", json_get_str(job, "runtime", NULL));
	job_line("executor", json_get_str(job, "executor", NULL));
	job_line("execution", json_get_str(job, "execution", NULL));
	job_line_number("attempt", job, "attempt");
	job_line_time("created", job, "created_ms");
	job_line_time("started", job, "started_ms");
	job_line_time("ended", job, "ended_ms");
	if (took >= 0)
		job_line("took", output_duration(took, text, sizeof(text)));
	job_line_number("exit code", job, "exit_code");
	job_line_number("signal", job, "signal");
	job_line_usage(job);
	job_line_number("output", job, "output_bytes");
	job_line_number("log", job, "log_bytes");
	if (json_get_int(job, "log_dropped_bytes", 0))
		job_line_number("dropped", job, "log_dropped_bytes");
	if (job_view_ended(job) && job_view_sentence(job, text, sizeof(text)))
		printf("\n%s.\n", text);
}

static int job_run(const void *options, char **words, size_t n_words)
{
	const struct job_show_options *o = options;
	_cleanup_json_ json_t *job = NULL;
	struct buf path = { 0 };
	struct api api;

	if (api_open(&api, &o->globals) < 0)
		return CLI_FAILED;
	if (!buf_append_str(&path, "/v1/jobs/") &&
	    !percent_append(&path, words[0]) && buf_cstr(&path))
		job = api_get_json(&api, (char *)path.data, "show the job");
	buf_deinit(&path);
	api_close(&api);
	if (!job)
		return CLI_FAILED;
	if (o->globals.json)
		output_json(job);
	else
		job_print(job);
	return CLI_OK;
}

const struct command command_job = {
	.name = "job",
	.words = "JOB",
	.summary = "Shows one job",
	.options = job_specs,
	.n_options = ARRAY_SIZE(job_specs),
	.options_bytes = sizeof(struct job_show_options),
	.words_min = 1,
	.words_max = 1,
	.run = job_run,
};
