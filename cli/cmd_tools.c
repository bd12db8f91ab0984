/* cronium tools: list, show, check, run. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/read_file.h"
#include "cli/read_json.h"
#include "cli/schema_view.h"
#include "cli/verb.h"
#include "common/json.h"
#include "common/percent.h"

#define TOOLS_PARAMS_MAX_BYTES (16 * 1024 * 1024)
#define TOOLS_FILE_MAX_BYTES (1024 * 1024)
#define TOOLS_COLUMNS 4
#define TOOLS_RUN_TIMEOUT_MS (60 * 60 * 1000) /* tries and pauses together */

struct tools_options {
	struct cli_globals globals;
	const char *params;
	bool dry_run;
};

#define TOOLS_OPTION(name, letter, type, field, arg, initial, help)      \
	CLI_OPTION(name, letter, type, struct tools_options, field, arg, \
		   initial, help)

static const struct option_spec tools_specs[] = {
	TOOLS_OPTION("params", 'p', OPTION_STRING, params, "JSON|@FILE|-", "{}",
		     "run: the action's parameters; - is stdin"),
	TOOLS_OPTION("dry-run", 'n', OPTION_FLAG, dry_run, NULL, NULL,
		     "run: show what would be sent, and send nothing"),
	CLI_SERVER_OPTIONS,
};

/* --- list ---------------------------------------------------------------- */

static void tools_row(const json_t *t, struct output_cell *cells)
{
	const json_t *actions = json_object_get(t, "actions");
	const char *problem = json_get_str(t, "problem", NULL);
	size_t size = sizeof(cells->text), len = 0;

	snprintf(cells[0].text, size, "%s", json_get_str(t, "name", "?"));
	for (size_t i = 0; i < json_array_size(actions) && len < size; i++)
		len += (size_t)snprintf(
			cells[1].text + len, size - len, "%s%s", i ? ", " : "",
			json_string_value(json_array_get(actions, i)));
	snprintf(cells[2].text, size, "%s", json_get_str(t, "source", "?"));
	snprintf(cells[3].text, size, "%s",
		 problem ? problem : json_get_str(t, "summary", ""));
	cells[3].colour = problem ? OUTPUT_RED : NULL;
}

static int tools_list(struct api *api, const void *options, char **words)
{
	const struct tools_options *o = options;
	static const char *const heads[TOOLS_COLUMNS] = { "NAME", "ACTIONS",
							  "SOURCE", "SUMMARY" };
	_cleanup_json_ json_t *list = api_get_json(api, "/v1/tools",
						   "list the tools");
	const json_t *tools = json_object_get(list, "tools");
	size_t n = json_array_size(tools);
	_cleanup_free_ struct output_cell *cells = calloc(n * TOOLS_COLUMNS + 1,
							  sizeof(*cells));

	if (!list || !cells)
		return CLI_FAILED;
	if (o->globals.json) {
		output_json(list);
		return CLI_OK;
	}
	for (size_t i = 0; i < n; i++)
		tools_row(json_array_get(tools, i), &cells[i * TOOLS_COLUMNS]);
	output_table(heads, TOOLS_COLUMNS, cells, n);
	return CLI_OK;
}

/* --- show, check ---------------------------------------------------------- */

static void tools_print_credential(const json_t *c)
{
	const json_t *present = json_object_get(c, "present");
	const char *secret = json_get_str(c, "secret", NULL);

	if (!secret)
		output_text("  credential %s: the secret that %s names\n",
			    json_get_str(c, "name", "?"),
			    json_get_str(c, "from", "?"));
	else
		output_text("  credential %s: the secret %s%s%s\n",
			    json_get_str(c, "name", "?"), secret,
			    json_is_true(present) ? ", which is set"
						  : ", which is not set",
			    json_get_bool(c, "optional", false) ? " (optional)"
								: "");
}

static void tools_print(const json_t *tool)
{
	const json_t *actions = json_object_get(tool, "actions");
	const json_t *credentials = json_object_get(tool, "credentials");
	const char *summary = json_get_str(tool, "summary", NULL);
	size_t i;
	json_t *v;

	output_text("%s (%s)%s%s\n", json_get_str(tool, "name", "?"),
		    json_get_str(tool, "source", "?"), summary ? ": " : "",
		    summary ? summary : "");
	json_array_foreach((json_t *)credentials, i, v)
		tools_print_credential(v);
	json_array_foreach((json_t *)actions, i, v) {
		summary = json_get_str(v, "summary", NULL);
		output_text("  %s%s%s\n", json_get_str(v, "name", "?"),
			    summary ? ": " : "", summary ? summary : "");
		schema_view_print(json_object_get(v, "params"));
	}
}

/* A tool with a problem is a failure. */
static int tools_tell(const struct tools_options *o, const json_t *tool)
{
	const char *problem = json_get_str(tool, "problem", NULL);

	if (o->globals.json)
		output_json(tool);
	else if (!problem)
		tools_print(tool);
	if (problem)
		output_error("%s: %s", json_get_str(tool, "source", "?"),
			     problem);
	return problem ? CLI_FAILED : CLI_OK;
}

static int tools_show(struct api *api, const void *options, char **words)
{
	const struct tools_options *o = options;
	_cleanup_(buf_deinit) struct buf path = { 0 };
	_cleanup_json_ json_t *tool = NULL;

	if (!buf_append_str(&path, "/v1/tools/") &&
	    !percent_append(&path, words[0]) && buf_cstr(&path))
		tool = api_get_json(api, (char *)path.data, "show the tool");
	return tool ? tools_tell(o, tool) : CLI_FAILED;
}

static int tools_check(struct api *api, const void *options, char **words)
{
	const struct tools_options *o = options;
	const char *slash = strrchr(words[0], '/');
	_cleanup_(buf_deinit) struct buf text = { 0 }, path = { 0 };
	struct api_request request = { .method = "POST",
				       .content_type = "text/plain" };
	_cleanup_json_ json_t *tool = NULL;

	if (read_file("tool", words[0], TOOLS_FILE_MAX_BYTES, &text))
		return CLI_USAGE;
	if (buf_append_str(&path, "/v1/tools/check?file=") ||
	    percent_append(&path, slash ? slash + 1 : words[0]) ||
	    !buf_cstr(&path))
		return CLI_FAILED;
	request.path = (char *)path.data;
	request.body = text.data;
	request.body_len = text.len;
	tool = api_call_json(api, &request, "check the file");
	return tool ? tools_tell(o, tool) : CLI_FAILED;
}

/* --- run ------------------------------------------------------------------ */

static int tools_body(const struct tools_options *o, struct buf *out)
{
	_cleanup_(buf_deinit_secret) struct buf params = { 0 };
	int r = read_json("params", o->params, TOOLS_PARAMS_MAX_BYTES, &params);

	if (!r)
		r = buf_append_str(out, "{\"params\":");
	if (!r)
		r = buf_append(out, params.data, params.len);
	return r ? r
		 : buf_printf(out, ",\"dry_run\":%s}",
			      o->dry_run ? "true" : "false");
}

/* "TOOL/ACTION", or both as words. 0, or negative after a message. */
static int tools_path(char **words, struct buf *path)
{
	char *slash = strchr(words[0], '/');
	const char *action = words[1];

	if (!action && slash) {
		*slash = '\0';
		action = slash + 1;
	}
	if (!action) {
		output_error("%s: an action is needed, such as %s/ACTION",
			     words[0], words[0]);
		return -EINVAL;
	}
	if (buf_append_str(path, "/v1/tools/") ||
	    percent_append(path, words[0]) || buf_append_str(path, "/") ||
	    percent_append(path, action) || !buf_cstr(path))
		return -ENOMEM;
	return 0;
}

static int tools_run_action(struct api *api, const void *options, char **words)
{
	const struct tools_options *o = options;
	_cleanup_(buf_deinit_secret) struct buf body = { 0 };
	_cleanup_(buf_deinit) struct buf path = { 0 };
	struct api_request request = {
		.method = "POST",
		.content_type = "application/json",
		.timeout_ms = TOOLS_RUN_TIMEOUT_MS,
	};
	struct api_reply reply;
	int exit_code = CLI_FAILED;

	if (tools_body(o, &body) || tools_path(words, &path))
		return CLI_USAGE;
	request.path = (char *)path.data;
	request.body = body.data;
	request.body_len = body.len;
	if (!api_call(api, &request, &reply))
		api_explain(api, &reply, "run the action");
	else if (!buf_append_str(&reply.body, "\n") &&
		 output_bytes(STDOUT_FILENO, reply.body.data, reply.body.len) ==
			 0)
		exit_code = CLI_OK;
	api_reply_deinit(&reply);
	return exit_code;
}

/* --- the command --------------------------------------------------------- */

static const struct verb tools_verbs[] = {
	{ "list", "", 0, 0, false, tools_list },
	{ "show", "NAME", 1, 1, false, tools_show },
	{ "check", "FILE", 1, 1, false, tools_check },
	{ "run", "TOOL/ACTION", 1, 2, false, tools_run_action },
};

static int tools_run(const void *options, char **words, size_t n_words)
{
	return verb_run("tools", tools_verbs, ARRAY_SIZE(tools_verbs), options,
			words, n_words);
}

const struct command command_tools = {
	.name = "tools",
	.words = "list | show NAME | check FILE | run TOOL/ACTION",
	.summary = "What scripts can call outside, and trying it",
	.details = "run prints the action's result, JSON. check says what is "
		   "wrong with a tool's file\nbefore it is put into the "
		   "server's directory of tools (docs/tools.md).\n",
	.options = tools_specs,
	.n_options = ARRAY_SIZE(tools_specs),
	.options_bytes = sizeof(struct tools_options),
	.words_min = 1,
	.words_max = 3,
	.run = tools_run,
};
