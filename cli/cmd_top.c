/* cronium top: what runs now, and how the machines are that it runs on. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/agent_view.h"
#include "cli/api.h"
#include "cli/command.h"
#include "cli/job_view.h"
#include "cli/output.h"
#include "common/clock.h"
#include "common/json.h"

#define TOP_POD_COLUMNS 9
#define TOP_AGENT_COLUMNS (AGENT_VIEW_COLUMNS + 4)
#define TOP_INTERVAL_MIN_MS 200
#define TOP_INTERVAL_MAX_MS (60 * 60 * 1000)
#define TOP_CLEAR "\033[H\033[J" /* to the top left, and erase */

struct top_options {
	struct cli_globals globals;
	uint64_t interval_ms;
	bool once;
};

#define TOP_OPTION(name, letter, type, field, arg, initial, help)      \
	CLI_OPTION(name, letter, type, struct top_options, field, arg, \
		   initial, help)

static const struct option_spec top_specs[] = {
	TOP_OPTION("interval", 'n', OPTION_DURATION, interval_ms, "TIME", "2s",
		   "how often to look, on a terminal"),
	TOP_OPTION("once", '1', OPTION_FLAG, once, NULL, NULL,
		   "look once, as without a terminal"),
	CLI_SERVER_OPTIONS,
};

/* --- cells ---------------------------------------------------------------- */

static void top_percent(const json_t *v, struct output_cell *cell)
{
	if (json_is_number(v))
		snprintf(cell->text, sizeof(cell->text), "%.1f",
			 json_number_value(v));
	else
		snprintf(cell->text, sizeof(cell->text), "-");
}

static void top_number(const json_t *v, struct output_cell *cell)
{
	if (json_is_integer(v))
		snprintf(cell->text, sizeof(cell->text), "%lld",
			 (long long)json_integer_value(v));
	else
		snprintf(cell->text, sizeof(cell->text), "-");
}

static void top_memory(const json_t *v, struct output_cell *cell)
{
	if (json_is_integer(v))
		snprintf(cell->text, sizeof(cell->text), "%.1f MiB",
			 (double)json_integer_value(v) / (1 << 20));
	else
		snprintf(cell->text, sizeof(cell->text), "-");
}

/* --- pods ----------------------------------------------------------------- */

static void top_pod_row(const json_t *p, struct output_cell *cells)
{
	int64_t since = json_get_int(p, "started_ms", 0);
	size_t size = sizeof(cells->text);

	if (!since)
		since = json_get_int(p, "claimed_ms", 0);
	snprintf(cells[0].text, size, "%s", json_get_str(p, "job", "?"));
	snprintf(cells[1].text, size, "%s", json_get_str(p, "name", "-"));
	snprintf(cells[2].text, size, "%s", json_get_str(p, "agent", "-"));
	snprintf(cells[3].text, size, "%s", json_get_str(p, "executor", "-"));
	snprintf(cells[4].text, size, "%s", json_get_str(p, "state", "-"));
	output_duration(clock_wall_ms() - since, cells[5].text, size);
	top_percent(json_object_get(p, "cpu_percent"), &cells[6]);
	top_memory(json_object_get(p, "memory_bytes"), &cells[7]);
	top_number(json_object_get(p, "pids"), &cells[8]);
}

static void top_print_pods(const json_t *pods)
{
	static const char *const heads[TOP_POD_COLUMNS] = {
		"JOB",  "NAME",  "AGENT",  "EXECUTOR", "STATE",
		"TIME", "CPU %", "MEMORY", "PIDS"
	};
	size_t n = json_array_size(pods);
	_cleanup_free_ struct output_cell *cells =
		calloc(n * TOP_POD_COLUMNS + 1, sizeof(*cells));

	if (!cells)
		return;
	for (size_t i = 0; i < n; i++)
		top_pod_row(json_array_get(pods, i),
			    &cells[i * TOP_POD_COLUMNS]);
	output_table(heads, TOP_POD_COLUMNS, cells, n);
}

/* --- agents --------------------------------------------------------------- */

static void top_agent_row(const json_t *a, struct output_cell *cells)
{
	const json_t *snapshot = json_object_get(a, "snapshot");
	const json_t *load = json_object_get(snapshot, "load");

	agent_view_cells(a, cells);
	top_percent(json_object_get(snapshot, "cpu_percent"), &cells[3]);
	top_percent(json_array_get(load, 0), &cells[4]);
	top_percent(json_object_get(json_object_get(snapshot, "memory"),
				    "percent"),
		    &cells[5]);
	top_percent(json_object_get(json_object_get(snapshot, "disk"),
				    "percent"),
		    &cells[6]);
}

static void top_print_agents(const json_t *agents)
{
	static const char *const heads[TOP_AGENT_COLUMNS] = {
		"AGENT", "STATE", "JOBS", "CPU %", "LOAD", "MEMORY %", "DISK %"
	};
	size_t n = 0;
	_cleanup_free_ struct output_cell *cells =
		calloc(json_array_size(agents) * TOP_AGENT_COLUMNS + 1,
		       sizeof(*cells));
	const json_t *a;
	size_t i;

	if (!cells)
		return;
	json_array_foreach(agents, i, a)
		if (json_get_bool(a, "connected", false))
			top_agent_row(a, &cells[n++ * TOP_AGENT_COLUMNS]);
	output_table(heads, TOP_AGENT_COLUMNS, cells, n);
}

/* --- looking -------------------------------------------------------------- */

/* Both lists as one object; NULL after a message. */
static json_t *top_ask(struct api *api)
{
	json_t *agents = api_get_json(api, "/v1/agents", "list the agents");
	json_t *pods = agents ? api_get_json(api, "/v1/pods", "list the pods")
			      : NULL;
	json_t *both = NULL;

	if (pods)
		both = json_pack("{s:O*,s:O*}", "agents",
				 json_object_get(agents, "agents"), "pods",
				 json_object_get(pods, "pods"));
	json_decref(agents);
	json_decref(pods);
	return both;
}

static int top_show(struct api *api, const struct top_options *o, bool clear)
{
	_cleanup_json_ json_t *both = top_ask(api);

	if (!both)
		return CLI_FAILED;
	if (o->globals.json) {
		output_json(both);
		return CLI_OK;
	}
	if (clear &&
	    output_bytes(STDOUT_FILENO, TOP_CLEAR, strlen(TOP_CLEAR)) < 0)
		return CLI_FAILED;
	top_print_agents(json_object_get(both, "agents"));
	output_text("\n");
	top_print_pods(json_object_get(both, "pods"));
	return CLI_OK;
}

static int top_run(const void *options, char **words, size_t n_words)
{
	const struct top_options *o = options;
	bool again = !o->once && !o->globals.json && isatty(STDOUT_FILENO);
	uint64_t wait_ms = MIN(MAX(o->interval_ms, TOP_INTERVAL_MIN_MS),
			       TOP_INTERVAL_MAX_MS);
	struct api api;
	int exit_code;

	if (api_open(&api, &o->globals) < 0)
		return CLI_FAILED;
	exit_code = top_show(&api, o, again);
	while (again && exit_code == CLI_OK) {
		usleep((useconds_t)wait_ms * 1000);
		exit_code = top_show(&api, o, true);
	}
	api_close(&api);
	return exit_code;
}

const struct command command_top = {
	.name = "top",
	.words = "",
	.summary = "Shows what runs now, and what it uses",
	.details = "CPU % is of one core. On a terminal until Ctrl-C.\n",
	.options = top_specs,
	.n_options = ARRAY_SIZE(top_specs),
	.options_bytes = sizeof(struct top_options),
	.run = top_run,
};
