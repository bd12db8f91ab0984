/* cronium jobs: the newest first. */
#include <stdio.h>

#include "cli/command.h"
#include "cli/job_view.h"
#include "cli/output.h"
#include "cli/show.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/percent.h"

#define JOBS_COLUMNS 6

struct jobs_options {
	struct cli_globals globals;
	const char *state, *session, *before;
	uint64_t limit;
};

#define JOBS_OPTION(name, letter, type, field, arg, initial, help)      \
	CLI_OPTION(name, letter, type, struct jobs_options, field, arg, \
		   initial, help)

static const struct option_spec jobs_specs[] = {
	JOBS_OPTION("state", 's', OPTION_STRING, state, "STATE", NULL,
		    "queued, claimed, running, succeeded, failed, timed_out, "
		    "cancelled or lost"),
	JOBS_OPTION("session", 0, OPTION_STRING, session, "NAME", NULL,
		    "only those of this session"),
	JOBS_OPTION("limit", 'n', OPTION_UINT, limit, "N", "20", "how many"),
	JOBS_OPTION("before", 0, OPTION_STRING, before, "JOB", NULL,
		    "go on after this one"),
	CLI_SERVER_OPTIONS,
};

static void jobs_row(const json_t *job, struct output_cell *cells)
{
	int64_t took = job_view_duration_ms(job, clock_wall_ms());
	size_t size = sizeof(cells->text);

	snprintf(cells[0].text, size, "%s", json_get_str(job, "id", "?"));
	snprintf(cells[1].text, size, "%s", json_get_str(job, "state", "?"));
	cells[1].colour = job_view_colour(job);
	snprintf(cells[2].text, size, "%s", json_get_str(job, "name", "-"));
	snprintf(cells[3].text, size, "%s", json_get_str(job, "executor", "-"));
	output_time(json_get_int(job, "created_ms", 0), cells[4].text, size);
	output_duration(took, cells[5].text, size);
}

static void jobs_print(const json_t *list)
{
	static const char *const heads[JOBS_COLUMNS] = { "JOB",     "STATE",
							 "NAME",    "EXECUTOR",
							 "CREATED", "TOOK" };
	const json_t *jobs = json_object_get(list, "jobs");
	size_t n = json_array_size(jobs);
	_cleanup_free_ struct output_cell *cells = calloc(n * JOBS_COLUMNS + 1,
							  sizeof(*cells));

	if (!cells)
		return;
	for (size_t i = 0; i < n; i++)
		jobs_row(json_array_get(jobs, i), &cells[i * JOBS_COLUMNS]);
	output_table(heads, JOBS_COLUMNS, cells, n);
	if (json_is_string(json_object_get(list, "next")))
		output_note("more: cronium jobs --before %s",
			    json_get_str(list, "next", ""));
}

static int jobs_path(const struct jobs_options *o, struct buf *path)
{
	int r = buf_printf(path, "/v1/jobs?limit=%llu",
			   (unsigned long long)o->limit);

	if (!r)
		r = percent_append_query(path, "state", o->state);
	if (!r)
		r = percent_append_query(path, "session", o->session);
	if (!r)
		r = percent_append_query(path, "before", o->before);
	return r < 0 || !buf_cstr(path) ? -1 : 0;
}

static int jobs_run(const void *options, char **words, size_t n_words)
{
	const struct jobs_options *o = options;
	_cleanup_(buf_deinit) struct buf path = { 0 };

	return show_only(&o->globals,
			 jobs_path(o, &path) ? NULL : buf_cstr(&path),
			 "list the jobs", jobs_print);
}

const struct command command_jobs = {
	.name = "jobs",
	.words = "",
	.summary = "Lists jobs, the newest first",
	.options = jobs_specs,
	.n_options = ARRAY_SIZE(jobs_specs),
	.options_bytes = sizeof(struct jobs_options),
	.run = jobs_run,
};
