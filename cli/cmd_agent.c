/* cronium agent: show, drain, undrain, forget. */
#include <stdio.h>

#include "cli/agent_view.h"
#include "cli/api.h"
#include "cli/command.h"
#include "cli/job_cost.h"
#include "cli/job_view.h"
#include "cli/output.h"
#include "cli/verb.h"
#include "common/json.h"

#define AGENT_TEXT_BYTES 1024 /* 16 labels, most of them short */
#define AGENT_WORDS "show NAME | drain NAME | undrain NAME | forget NAME"

struct agent_options {
	struct cli_globals globals;
};

static const struct option_spec agent_specs[] = {
	CLI_SERVER_OPTIONS,
};

static void agent_line(const char *name, const char *value)
{
	if (!value)
		return;
	printf(JOB_LINE_FORMAT, name);
	output_text("%s\n", value);
}

static json_t *agent_call(struct api *api, const char *method, const char *name,
			  const char *rest, const char *doing)
{
	_cleanup_(buf_deinit) struct buf path = { 0 };
	struct api_request request = { .method = method };

	if (agent_view_path(name, rest, &path))
		return NULL;
	request.path = (char *)path.data;
	return api_call_json(api, &request, doing);
}

static void agent_print(const json_t *a)
{
	static const char *const names[] = { "agent", "state", "jobs" };
	struct output_cell cells[AGENT_VIEW_COLUMNS] = { 0 };
	char text[AGENT_TEXT_BYTES];

	agent_view_cells(a, cells);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		agent_line(names[i], cells[i].text);
	agent_line("problem", json_get_str(a, "problem", NULL));
	agent_line("executors", json_get_str(a, "executors", "-"));
	agent_line("labels", agent_view_labels(a, text, sizeof(text)));
	agent_line("address", json_get_str(a, "address", NULL));
	output_time(json_get_int(a, "connected_ms", 0), text, sizeof(text));
	agent_line("since", text);
	output_time(json_get_int(a, "seen_ms", 0), text, sizeof(text));
	agent_line("seen", text);
	job_cost_print_snapshot(json_object_get(a, "snapshot"));
}

static int agent_show(struct api *api, const void *options, char **words)
{
	const struct agent_options *o = options;
	_cleanup_json_ json_t *a = agent_call(api, "GET", words[0], "",
					      "show the agent");

	if (!a)
		return CLI_FAILED;
	if (o->globals.json)
		output_json(a);
	else
		agent_print(a);
	return CLI_OK;
}

static int agent_set_drained(struct api *api, const void *options,
			     const char *name, const char *rest,
			     const char *doing)
{
	const struct agent_options *o = options;
	_cleanup_json_ json_t *a = agent_call(api, "POST", name, rest, doing);

	if (!a)
		return CLI_FAILED;
	if (o->globals.json)
		output_json(a);
	else if (json_get_bool(a, "drained", false))
		output_text("%s is drained: no new job, %lld to finish\n", name,
			    (long long)json_get_int(a, "running", 0));
	else
		output_text("%s takes jobs\n", name);
	return CLI_OK;
}

static int agent_drain(struct api *api, const void *options, char **words)
{
	return agent_set_drained(api, options, words[0], "/drain",
				 "drain the agent");
}

static int agent_undrain(struct api *api, const void *options, char **words)
{
	return agent_set_drained(api, options, words[0], "/undrain",
				 "undrain the agent");
}

static int agent_forget(struct api *api, const void *options, char **words)
{
	_cleanup_(buf_deinit) struct buf path = { 0 };
	struct api_request request = { .method = "DELETE" };
	struct api_reply reply = { 0 };
	int exit_code = CLI_FAILED;

	if (agent_view_path(words[0], "", &path))
		return CLI_FAILED;
	request.path = (char *)path.data;
	if (api_call(api, &request, &reply))
		exit_code = CLI_OK;
	else
		api_explain(api, &reply, "forget the agent");
	api_reply_deinit(&reply);
	return exit_code;
}

static const struct verb agent_verbs[] = {
	{ "show", "NAME", 1, 1, false, agent_show },
	{ "drain", "NAME", 1, 1, false, agent_drain },
	{ "undrain", "NAME", 1, 1, false, agent_undrain },
	{ "forget", "NAME", 1, 1, false, agent_forget },
};

static int agent_run(const void *options, char **words, size_t n_words)
{
	return verb_run("agent", agent_verbs, ARRAY_SIZE(agent_verbs), options,
			words, n_words);
}

const struct command command_agent = {
	.name = "agent",
	.words = AGENT_WORDS,
	.summary = "Shows an orchestrator, takes it out of service, and back",
	.details =
		"A drained one takes no new job; what it runs goes on. That "
		"stays until `undrain`,\nwhatever is started again. `forget` "
		"takes one that is gone off the list.\n",
	.options = agent_specs,
	.n_options = ARRAY_SIZE(agent_specs),
	.options_bytes = sizeof(struct agent_options),
	.words_min = 1,
	.words_max = 2,
	.run = agent_run,
};
