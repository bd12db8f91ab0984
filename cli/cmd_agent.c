/* cronium agent: show, drain, undrain, forget. */
#include "cli/agent_view.h"
#include "cli/api.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/verb.h"
#include "common/json.h"

#define AGENT_WORDS "show NAME | drain NAME | undrain NAME | forget NAME"

struct agent_options {
	struct cli_globals globals;
};

static const struct option_spec agent_specs[] = {
	CLI_SERVER_OPTIONS,
};

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

static int agent_show(struct api *api, const void *options, char **words)
{
	_cleanup_json_ json_t *a = agent_call(api, "GET", words[0], "",
					      "show the agent");

	if (!a)
		return CLI_FAILED;
	output_json(a);
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
		output_note("%s takes no new job; it has %lld to finish", name,
			    (long long)json_get_int(a, "running", 0));
	else
		output_note("%s takes jobs", name);
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
	.summary = "Takes an orchestrator out of service, and back",
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
