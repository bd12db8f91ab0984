/* cronium exec: jobs without a script. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/command.h"
#include "cli/exec_result.h"
#include "cli/follow.h"
#include "cli/job_output.h"
#include "cli/job_result.h"
#include "cli/job_view.h"
#include "cli/output.h"
#include "cli/read_json.h"
#include "cli/schema_view.h"
#include "common/id.h"
#include "common/json.h"
#include "common/percent.h"

#define EXEC_ARGS_MAX_BYTES (16 * 1024 * 1024)
#define EXEC_COLUMNS 2

struct exec_options {
	struct cli_globals globals;
	const char *args, *executor, *host, *image, *agent, *session, *undo;
	struct option_list labels, env;
	uint64_t timeout_ms;
	bool dry_run, no_wait, list, force, detach;
};

#define EXEC_OPTION(name, letter, type, field, arg, initial, help)      \
	CLI_OPTION(name, letter, type, struct exec_options, field, arg, \
		   initial, help)

static const struct option_spec exec_specs[] = {
	EXEC_OPTION("args", 'a', OPTION_STRING, args, "JSON|@FILE|-", "{}",
		    "its arguments; - is stdin"),
	EXEC_OPTION("dry-run", 'n', OPTION_FLAG, dry_run, NULL, NULL,
		    "say what it would do, and do nothing"),
	EXEC_OPTION("list", 'l', OPTION_FLAG, list, NULL, NULL,
		    "show what capabilities there are"),
	EXEC_OPTION("undo", 0, OPTION_STRING, undo, "JOB", NULL,
		    "put back what this job of file.write has replaced"),
	EXEC_OPTION("force", 0, OPTION_FLAG, force, NULL, NULL,
		    "with --undo: also where the file has changed since"),
	EXEC_OPTION("timeout", 't', OPTION_DURATION, timeout_ms, "TIME", NULL,
		    "kill it after 500ms, 30s, 5m; default: the capability's"),
	EXEC_OPTION("executor", 'x', OPTION_STRING, executor, "NAME", "auto",
		    "docker, sandbox, ssh, or auto: a sandbox where there is "
		    "one"),
	EXEC_OPTION("host", 0, OPTION_STRING, host, "NAME", NULL,
		    "do it on this registered host, by SSH"),
	EXEC_OPTION("image", 0, OPTION_STRING, image, "IMAGE", NULL,
		    "Docker image with python3, and git for git.exec"),
	EXEC_OPTION("agent", 0, OPTION_STRING, agent, "NAME", NULL,
		    "the only orchestrator that may do it"),
	EXEC_OPTION("session", 0, OPTION_STRING, session, "SESSION", NULL,
		    "the session that it belongs to"),
	EXEC_OPTION("label", 0, OPTION_LIST, labels, "K=V", NULL,
		    "label to find the job by; repeatable"),
	EXEC_OPTION("env", 'e', OPTION_LIST, env, "K=V", NULL,
		    "CRONIUM_CA_FILE alone: whom to trust on a host of the "
		    "mode direct"),
	EXEC_OPTION("no-wait", 0, OPTION_FLAG, no_wait, NULL, NULL,
		    "fail at once where it would have to wait"),
	EXEC_OPTION("detach", 'd', OPTION_FLAG, detach, NULL, NULL,
		    "print the job's id and leave"),
	CLI_SERVER_OPTIONS,
};

static void exec_free_options(void *options)
{
	struct exec_options *o = options;

	free(o->labels.items);
	free(o->env.items);
}

/* --- what there is ------------------------------------------------------- */

static int exec_list(struct api *api, const struct exec_options *o)
{
	static const char *const heads[] = { "NAME", "SUMMARY" };
	_cleanup_json_ json_t *reply = api_get_json(api, "/v1/capabilities",
						    "list the capabilities");
	const json_t *list = json_object_get(reply, "capabilities"), *c;
	size_t i, n = json_array_size(list);
	_cleanup_free_ struct output_cell *cells = calloc(n * EXEC_COLUMNS + 1,
							  sizeof(*cells));

	if (!reply || !cells)
		return CLI_FAILED;
	if (o->globals.json) {
		output_json(reply);
		return CLI_OK;
	}
	json_array_foreach(list, i, c) {
		snprintf(cells[2 * i].text, sizeof(cells->text), "%s",
			 json_get_str(c, "name", "?"));
		snprintf(cells[2 * i + 1].text, sizeof(cells->text), "%s",
			 json_get_str(c, "summary", ""));
	}
	output_table(heads, EXEC_COLUMNS, cells, n);
	return CLI_OK;
}

static int exec_path(const char *head, const char *name, const char *tail,
		     struct buf *path)
{
	if (buf_append_str(path, head) || percent_append(path, name) ||
	    buf_append_str(path, tail) || !buf_cstr(path))
		return -ENOMEM;
	return 0;
}

/* NAME --help: its arguments in words. */
static int exec_help(struct api *api, const struct exec_options *o,
		     const char *name)
{
	_cleanup_(buf_deinit) struct buf path = { 0 };
	_cleanup_json_ json_t *c = NULL;

	if (!exec_path("/v1/capabilities/", name, "", &path))
		c = api_get_json(api, buf_cstr(&path), "show the capability");
	if (!c)
		return CLI_FAILED;
	if (o->globals.json) {
		output_json(c);
		return CLI_OK;
	}
	output_text("%s: %s\n", name, json_get_str(c, "summary", ""));
	output_text("  timeout %lld ms, at most %lld ms%s\n",
		    (long long)json_get_int(c, "timeout_ms", 0),
		    (long long)json_get_int(c, "timeout_max_ms", 0),
		    json_get_bool(c, "undoable", false)
			    ? "; can be undone (--undo JOB)"
			    : "");
	output_text("  arguments (--args):\n");
	schema_view_print(json_object_get(c, "params"));
	return CLI_OK;
}

/* --- the request --------------------------------------------------------- */

/* An object of K=V. */
static json_t *exec_pairs(const struct option_list *list)
{
	json_t *o = json_object();

	for (size_t i = 0; i < list->n; i++) {
		const char *item = list->items[i];
		const char *equals = strchr(item, '=');
		_cleanup_free_ char *key = NULL;

		key = strndup(item,
			      equals ? (size_t)(equals - item) : strlen(item));
		if (!key || json_object_set_new(o, key,
						json_string(equals ? equals + 1
								   : ""))) {
			json_decref(o);
			return NULL;
		}
	}
	return o;
}

/* Only what was given: an older server knows less. */
static json_t *exec_members(const struct exec_options *o)
{
	json_t *m = json_pack("{s:b,s:s,s:s*,s:s*,s:s*,s:s*,s:o,s:o}",
			      "dry_run", o->dry_run, "executor", o->executor,
			      "host", o->host, "image", o->image, "agent",
			      o->agent, "session", o->session, "labels",
			      exec_pairs(&o->labels), "env",
			      exec_pairs(&o->env));
	int r = 0;

	if (m && o->timeout_ms)
		r |= json_object_set_new(m, "timeout_ms",
					 json_integer(
						 (json_int_t)o->timeout_ms));
	if (m && o->no_wait)
		r |= json_object_set_new(m, "no_wait", json_true());
	if (!r)
		return m;
	json_decref(m);
	return NULL;
}

/* The arguments as they were written. */
static int exec_body(const struct exec_options *o, struct buf *out)
{
	_cleanup_json_ json_t *members = exec_members(o);
	_cleanup_(buf_deinit) struct buf args = { 0 };
	int r = read_json("args", o->args, EXEC_ARGS_MAX_BYTES, &args);

	if (r)
		return r;
	r = members ? json_append(out, members) : -ENOMEM;
	if (!r) {
		out->len--; /* the closing brace */
		r = buf_append_str(out, ",\"args\":");
	}
	if (!r)
		r = buf_append(out, args.data, args.len);
	if (!r)
		r = buf_append_str(out, "}");
	if (r)
		output_error("out of memory");
	return r;
}

/* The server knows what is undone, and where. */
static int exec_undo_body(const struct exec_options *o, struct buf *out)
{
	_cleanup_json_ json_t *members = exec_members(o);
	int r = -ENOMEM;

	if (members &&
	    !json_object_set_new(members, "force", json_boolean(o->force)))
		r = json_append(out, members);
	if (r)
		output_error("out of memory");
	return r;
}

/* The job, or NULL after an error message. */
static json_t *exec_submit(struct api *api, const struct exec_options *o,
			   const struct buf *path, const struct buf *body)
{
	char key[ID_MAX_BYTES];
	const struct api_request request = {
		.method = "POST",
		.path = (const char *)path->data,
		.content_type = "application/json",
		.idempotency_key = key,
		.body = body->data,
		.body_len = body->len,
	};

	id_new("cli", key);
	return api_call_json(api, &request,
			     o->undo ? "undo the job" : "run the capability");
}

/* --- the job -------------------------------------------------------------- */

static int exec_finish(struct api *api, const struct exec_options *o,
		       const json_t *job)
{
	const char *name = json_get_str(job, "name", "");
	_cleanup_(buf_deinit) struct buf text = { 0 };
	_cleanup_json_ json_t *output = NULL;
	int r = job_output_fetch(api, json_get_str(job, "id", ""), &text);

	output = json_loadb((char *)text.data, text.len, JSON_DECODE_ANY, NULL);
	job_view_warn_dropped(job);
	job_result_explain(job);
	if (!r && o->globals.json)
		r = job_result_print_json(job, &text);
	else if (!r && job_view_exit_code(job) == CLI_OK)
		r = exec_result_print(name, job, output);
	if (r < 0 && job_view_exit_code(job) == CLI_OK)
		return CLI_FAILED;
	return exec_result_exit_code(job, output);
}

static int exec_follow(struct api *api, const struct exec_options *o,
		       const json_t *submitted)
{
	const char *id = json_get_str(submitted, "id", "");
	bool log = !o->globals.json &&
		   exec_result_is_log(json_get_str(submitted, "name", ""));
	const struct follow_options options = {
		.stdout_fd = log ? STDOUT_FILENO : STDERR_FILENO,
		.stderr_fd = STDERR_FILENO,
		.cancel = true,
		.progress = true,
	};
	_cleanup_json_ json_t *job = NULL;
	int exit_code = follow_own_job(api, id, &options, &job);

	return exit_code == CLI_OK ? exec_finish(api, o, job) : exit_code;
}

static int exec_start(struct api *api, const struct exec_options *o,
		      const struct buf *path, const struct buf *body)
{
	_cleanup_json_ json_t *job = exec_submit(api, o, path, body);

	if (!job)
		return CLI_NOT_RUN;
	if (o->detach) {
		if (o->globals.json)
			output_json(job);
		else
			output_text("%s\n", json_get_str(job, "id", ""));
		return CLI_OK;
	}
	output_note("%s", json_get_str(job, "id", ""));
	return exec_follow(api, o, job);
}

/* --- the command --------------------------------------------------------- */

static int exec_with(struct api *api, const struct exec_options *o,
		     const char *name)
{
	_cleanup_(buf_deinit) struct buf path = { 0 }, body = { 0 };

	if (o->list)
		return exec_list(api, o);
	if (o->globals.help)
		return exec_help(api, o, name);
	if (o->undo) {
		if (exec_path("/v1/jobs/", o->undo, "/undo", &path) ||
		    exec_undo_body(o, &body))
			return CLI_FAILED;
	} else if (exec_path("/v1/capabilities/", name, "", &path) ||
		   exec_body(o, &body)) {
		return CLI_USAGE;
	}
	return exec_start(api, o, &path, &body);
}

static int exec_run(const void *options, char **words, size_t n_words)
{
	const struct exec_options *o = options;
	struct api api;
	int exit_code;

	if ((n_words == 0) != (o->list || o->undo)) {
		output_error("usage: cronium exec NAME [--args JSON], cronium "
			     "exec --list, or cronium exec --undo JOB");
		return CLI_USAGE;
	}
	if (api_open(&api, &o->globals) < 0)
		return CLI_NOT_RUN;
	exit_code = exec_with(&api, o, n_words ? words[0] : NULL);
	api_close(&api);
	return exit_code;
}

const struct command command_exec = {
	.name = "exec",
	.words = "[NAME]",
	.summary = "Reads files, runs commands … without a script",
	.details =
		"NAME is a capability of the server: file.read, file.write, "
		"shell.exec, git.exec,\nprocess.kill; NAME --help shows its "
		"arguments. It reaches what the orchestrator's\n--share names. "
		"The result goes to stdout: a file's content, a command's "
		"output.\ncronium ends with the command's exit code, 1: it "
		"failed, 124: it took longer than\n--timeout, 125: it was not "
		"run; 2: wrong usage.\n\n--json prints one object: job, state, "
		"reason, exit_code, signal, executor,\nlog_dropped_bytes, "
		"duration_ms, output.\n",
	.options = exec_specs,
	.n_options = ARRAY_SIZE(exec_specs),
	.options_bytes = sizeof(struct exec_options),
	.words_min = 0,
	.words_max = 1,
	.words_help = true,
	.run = exec_run,
	.free_options = exec_free_options,
};
