#include "cli/job_request.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/api.h"
#include "cli/job_runtime.h"
#include "cli/output.h"
#include "cli/payload_file.h"
#include "cli/read_file.h"
#include "common/frame.h"
#include "common/id.h"
#include "common/json.h"

/* --- files --------------------------------------------------------------- */

static int job_read_script(const char *path, struct buf *script)
{
	struct stat st;
	int r;

	if (strcmp(path, "-") && !stat(path, &st) && S_ISDIR(st.st_mode)) {
		output_error("the script %s is a directory: `cronium pack %s` "
			     "makes a payload of one that has a manifest.yaml",
			     path, path);
		return -EISDIR;
	}
	r = read_file("script", path, JOB_SCRIPT_MAX_BYTES, script);
	if (r < 0 || script->len)
		return r;
	output_error("the script %s is empty", path);
	return -EINVAL;
}

static int job_read_input(const char *given, struct buf *input)
{
	size_t at;
	int r;

	if (!given)
		return buf_append_str(input, "null");
	if (!strcmp(given, "-") || given[0] == '@')
		r = read_file("input", given + (given[0] == '@'),
			      JOB_INPUT_MAX_BYTES, input);
	else
		r = buf_append_str(input, given);
	if (r < 0 || json_check(input->data, input->len, &at) == 0)
		return r;
	if (!input->len)
		output_error("--input %s: there is nothing in it; JSON is "
			     "expected",
			     given);
	else if (at >= input->len)
		output_error("--input: the JSON is cut off at its end, byte "
			     "%zu",
			     at);
	else
		output_error("--input: not JSON at byte %zu, near '%.*s'; "
			     "strings and keys need double quotes: --input "
			     "'\"text\"'",
			     at, (int)MIN(input->len - at, 20),
			     (char *)input->data + at);
	return -EINVAL;
}

/* --- the specification --------------------------------------------------- */

static int job_set_pair(json_t *object, const char *option, const char *pair,
			bool from_environment)
{
	const char *eq = strchr(pair, '=');
	const char *value = eq ? eq + 1 : NULL;
	size_t len = eq ? (size_t)(eq - pair) : strlen(pair);
	char key[256];

	snprintf(key, sizeof(key), "%.*s", (int)len, pair);
	if (!eq && from_environment)
		value = getenv(key);
	if (!len || len >= sizeof(key) || !value) {
		output_error("--%s %s: KEY=VALUE is expected%s", option, pair,
			     !eq && from_environment
				     ? ", or the name of a variable that is set"
				     : "");
		return -EINVAL;
	}
	if (json_object_set_new(object, key, json_string(value)) < 0) {
		output_error("--%s %s: the value is no UTF-8", option, key);
		return -EINVAL;
	}
	return 0;
}

static json_t *job_pairs(const char *option, const struct option_list *list,
			 bool from_environment)
{
	json_t *object = json_object();

	for (size_t i = 0; object && i < list->n; i++)
		if (job_set_pair(object, option, list->items[i],
				 from_environment) < 0) {
			json_decref(object);
			return NULL;
		}
	return object;
}

static json_t *job_args(char **words, size_t n)
{
	json_t *args = json_array();

	for (size_t i = 0; args && i < n; i++)
		if (json_array_append_new(args, json_string(words[i])) < 0) {
			output_error("the argument '%s' is no UTF-8", words[i]);
			json_decref(args);
			return NULL;
		}
	return args;
}

/* What a list option names, or everything. */
static json_t *job_patterns(const struct option_list *list)
{
	json_t *patterns = json_array();

	if (patterns && !list->n)
		json_array_append_new(patterns, json_string("*"));
	for (size_t i = 0; patterns && i < list->n; i++)
		json_array_append_new(patterns, json_string(list->items[i]));
	return patterns;
}

static int job_set_queue(json_t *spec, const struct job_options *o)
{
	return json_object_set_new(spec, "no_wait", json_boolean(o->no_wait)) ||
	       (o->session &&
		json_object_set_new(spec, "session", json_string(o->session)));
}

/* Who it may be and what it may touch. */
static int job_set_rights(json_t *spec, const struct job_options *o)
{
	json_t *on = job_pairs("on", &o->on, false);
	json_t *rights = json_pack("{s:o,s:o,s:o,s:o,s:b,s:b,s:s?,s:s?}",
				   "agent_labels", on, "vars_read",
				   job_patterns(&o->vars_read), "vars_write",
				   job_patterns(&o->vars_write), "tools",
				   job_patterns(&o->tools), "read_only",
				   o->read_only, "dry_run", o->dry_run, "agent",
				   o->agent, "input_from", o->input_from);
	int r = rights ? json_object_update(spec, rights) : -1;

	json_decref(rights);
	return r;
}

static int job_parse_cpus(const char *text, double *out)
{
	char *end;

	*out = strtod(text, &end);
	if (*end || end == text || !isfinite(*out) || *out <= 0) {
		output_error("--cpus %s: a number such as 0.5 or 2 is expected",
			     text);
		return -EINVAL;
	}
	return 0;
}

/* runtime: NULL where a payload's manifest says it. */
static json_t *job_spec(const struct job_options *o, const char *name,
			const char *runtime, bool open, char **words,
			size_t n_words)
{
	double cpus;
	json_t *env, *labels, *args, *block, *spec;

	if (job_parse_cpus(o->cpus, &cpus) < 0)
		return NULL;
	env = job_pairs("env", &o->env, true);
	labels = env ? job_pairs("label", &o->labels, false) : NULL;
	args = labels ? job_args(words, n_words) : NULL;
	block = args ? job_runtime_block(o, runtime) : NULL;
	if (!block) {
		json_decref(env);
		json_decref(labels);
		json_decref(args);
		return NULL;
	}
	/* json_pack takes block, env, labels and args, also when it fails. */
	spec = json_pack("{s:s,s:o,s:s?,s:s,s:s?,s:s,s:s,s:f,s:o,s:o,s:o}",
			 "name", name, "runtime", block, "image", o->image,
			 "executor", o->executor, "host", o->host, "network",
			 o->egress ? "egress" : "none", "input_stream",
			 open || job_request_streams(o) ? "open" : "none",
			 "cpus", cpus, "env", env, "labels", labels, "args",
			 args);
	if (spec && (job_set_rights(spec, o) || job_set_queue(spec, o))) {
		json_decref(spec);
		return NULL;
	}
	return spec;
}

static int job_check(const struct job_options *o, const char *path)
{
	const char *x = o->executor;

	if (!strcmp(path, "-") && o->input && !strcmp(o->input, "-")) {
		output_error("the script and its input cannot both be stdin");
		return -EINVAL;
	}
	if (o->input_stream && o->input_from) {
		output_error("--input-stream and --input-from: an input stream "
			     "has one source");
		return -EINVAL;
	}
	if (o->input_stream && !strcmp(o->input_stream, "-") &&
	    (!strcmp(path, "-") || (o->input && !strcmp(o->input, "-")))) {
		output_error("--input-stream -: stdin is taken already");
		return -EINVAL;
	}
	if (strcmp(x, "auto") && strcmp(x, "docker") && strcmp(x, "sandbox") &&
	    strcmp(x, "ssh")) {
		output_error("--executor %s: docker, sandbox, ssh or auto is "
			     "expected",
			     x);
		return -EINVAL;
	}
	if (o->host ? strcmp(x, "auto") && strcmp(x, "ssh")
		    : !strcmp(x, "ssh")) {
		output_error("--executor %s: ssh and --host NAME go together; "
			     "`cronium hosts list` has the names",
			     x);
		return -EINVAL;
	}
	return 0;
}

bool job_request_streams(const struct job_options *o)
{
	return o->input_stream || o->input_from;
}

/* A program, and what is known of it here. */
struct job_program {
	struct buf content;
	const char *name;
	const char *runtime; /* NULL: its manifest says it */
	bool payload;
};

static int job_read_program(const struct job_options *o, const char *path,
			    struct job_program *p)
{
	const char *slash = strrchr(path, '/');
	int r = job_read_script(path, &p->content);

	if (r)
		return r;
	p->name = !strcmp(path, "-") ? "stdin" : slash ? slash + 1 : path;
	p->payload = payload_file_is(path, &p->content);
	p->runtime = o->runtime;
	if (!p->payload && o->verify) {
		output_error("--verify: %s is no payload: `cronium pack` makes "
			     "one",
			     path);
		return -EINVAL;
	}
	if (o->verify)
		r = payload_file_verify(path, &p->content, o->verify, NULL);
	if (!r && (!p->payload || p->runtime))
		r = job_runtime_find(o, path, &p->content, &p->runtime);
	return r;
}

static int job_append_spec(const struct job_options *o,
			   const struct job_program *p, bool open, char **args,
			   size_t n_args, struct buf *body)
{
	_cleanup_(buf_deinit) struct buf text = { 0 };
	_cleanup_json_ json_t *spec = job_spec(o, o->name ? o->name : p->name,
					       p->runtime, open, args, n_args);

	if (!spec ||
	    json_object_set_new(spec, "payload", json_boolean(p->payload)) ||
	    json_append(&text, spec))
		return -EINVAL;
	return frame_append(body, FRAME_SPEC, text.data, text.len);
}

int job_request_build(const struct job_options *o, char **words, size_t n_words,
		      bool open, struct buf *body)
{
	_cleanup_(buf_deinit) struct buf input = { 0 };
	struct job_program program = { 0 };
	int r = job_check(o, words[0]);

	if (!r)
		r = job_read_program(o, words[0], &program);
	if (!r)
		r = job_read_input(o->input, &input);
	if (!r)
		r = job_append_spec(o, &program, open, words + 1, n_words - 1,
				    body);
	if (!r)
		r = frame_append(body, FRAME_SCRIPT, program.content.data,
				 program.content.len);
	if (!r)
		r = frame_append(body, FRAME_INPUT, input.data, input.len);
	buf_deinit(&program.content);
	return r < 0 ? -EINVAL : 0;
}

json_t *job_request_submit(struct api *api, const struct buf *body)
{
	char key[ID_MAX_BYTES];
	const struct api_request request = {
		.method = "POST",
		.path = "/v1/jobs",
		.content_type = FRAME_CONTENT_TYPE,
		.idempotency_key = key,
		.body = body->data,
		.body_len = body->len,
	};
	json_t *job;

	id_new("cli", key);
	job = api_call_json(api, &request, "submit the job");
	if (job && !json_get_str(job, "id", NULL)) {
		output_error("the server's answer names no job");
		json_decref(job);
		return NULL;
	}
	return job;
}
