/* cronium agents: the orchestrators that were seen. */
#include <stdio.h>

#include "cli/agent_view.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/show.h"
#include "common/json.h"

#define AGENTS_COLUMNS (AGENT_VIEW_COLUMNS + 3)

struct agents_options {
	struct cli_globals globals;
};

static const struct option_spec agents_specs[] = {
	CLI_SERVER_OPTIONS,
};

static void agents_row(const json_t *a, struct output_cell *cells)
{
	size_t size = sizeof(cells->text);

	agent_view_cells(a, cells);
	snprintf(cells[3].text, size, "%s", json_get_str(a, "executors", "-"));
	agent_view_labels(a, cells[4].text, size);
	output_time(json_get_int(a, "seen_ms", 0), cells[5].text, size);
}

static void agents_print(const json_t *list)
{
	static const char *const heads[AGENTS_COLUMNS] = {
		"NAME", "STATE", "JOBS", "EXECUTORS", "LABELS", "SEEN"
	};
	const json_t *agents = json_object_get(list, "agents");
	const char *problem = json_get_str(list, "problem", NULL);
	size_t n = json_array_size(agents);
	_cleanup_free_ struct output_cell *cells =
		calloc(n * AGENTS_COLUMNS + 1, sizeof(*cells));
	const json_t *a;
	size_t i;

	if (!cells)
		return;
	json_array_foreach(agents, i, a)
		agents_row(a, &cells[i * AGENTS_COLUMNS]);
	output_table(heads, AGENTS_COLUMNS, cells, n);
	json_array_foreach(agents, i, a)
		if (json_is_string(json_object_get(a, "problem")))
			output_warn("%s takes %s jobs: %s",
				    json_get_str(a, "name", "?"),
				    json_get_bool(a, "accepting", false)
					    ? "not all"
					    : "no",
				    json_get_str(a, "problem", ""));
	if (problem)
		output_warn("the server gives out no jobs: %s", problem);
}

static int agents_run(const void *options, char **words, size_t n_words)
{
	const struct agents_options *o = options;

	return show_only(&o->globals, "/v1/agents", "list the agents",
			 agents_print);
}

const struct command command_agents = {
	.name = "agents",
	.words = "",
	.summary = "Lists the orchestrators that run jobs",
	.options = agents_specs,
	.n_options = ARRAY_SIZE(agents_specs),
	.options_bytes = sizeof(struct agents_options),
	.run = agents_run,
};
