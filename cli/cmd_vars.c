/* cronium vars: set, get, list, rm, watch. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/show.h"
#include "cli/vars_watch.h"
#include "cli/verb.h"
#include "common/file.h"
#include "common/json.h"
#include "common/percent.h"

#define VARS_VALUE_MAX_BYTES (10 * 1024 * 1024)
#define VARS_COLUMNS 5
#define VARS_WORDS "set KEY VALUE|- | get KEY | list | rm KEY | watch KEY"

struct vars_options {
	struct cli_globals globals;
	const char *type, *prefix, *from;
	bool secret, raw;
};

#define VARS_OPTION(name, letter, type, field, arg, initial, help)      \
	CLI_OPTION(name, letter, type, struct vars_options, field, arg, \
		   initial, help)

static const struct option_spec vars_specs[] = {
	VARS_OPTION("secret", 's', OPTION_FLAG, secret, NULL, NULL,
		    "set: encrypted at rest, masked in logs"),
	VARS_OPTION("type", 0, OPTION_STRING, type, "TYPE", "auto",
		    "set: string, json, or auto: JSON where it is valid JSON; "
		    "a secret is a string"),
	VARS_OPTION("raw", 'r', OPTION_FLAG, raw, NULL, NULL,
		    "get: a string without its quotes"),
	VARS_OPTION("prefix", 0, OPTION_STRING, prefix, "TEXT", NULL,
		    "list: names that begin so"),
	VARS_OPTION("from", 0, OPTION_STRING, from, "VERSION", NULL,
		    "watch: what came after this version, instead of how it is "
		    "now"),
	CLI_SERVER_OPTIONS,
};

/* --- set ----------------------------------------------------------------- */

static int vars_read_stdin(struct buf *out)
{
	int r = file_read_all(STDIN_FILENO, VARS_VALUE_MAX_BYTES, out);

	if (r == -EFBIG)
		output_error(
			"the value on stdin is larger than the %d MiB that "
			"are accepted",
			VARS_VALUE_MAX_BYTES >> 20);
	else if (r < 0)
		output_error("cannot read stdin: %s", strerror(-r));
	if (r < 0)
		return -EINVAL;
	/* The newline is echo's, not the value's. */
	if (out->len && out->data[out->len - 1] == '\n')
		out->len--;
	return 0;
}

/* The value as JSON. 0, or negative after an error message. */
static int vars_value(const struct vars_options *o, const char *given,
		      struct buf *json)
{
	struct buf text = { 0 };
	bool is_auto = !strcmp(o->type, "auto"), as_json;
	size_t at = 0;
	int r = strcmp(given, "-") ? buf_append_str(&text, given)
				   : vars_read_stdin(&text);

	as_json = !r && json_check(text.data, text.len, &at) == 0;
	if (!r && !strcmp(o->type, "json") && !as_json) {
		output_error("the value is not JSON: byte %zu", at);
		r = -EINVAL;
	} else if (!r && !is_auto && strcmp(o->type, "json") &&
		   strcmp(o->type, "string")) {
		output_error("--type %s: auto, string or json is expected",
			     o->type);
		r = -EINVAL;
	} else if (!r && as_json &&
		   (!strcmp(o->type, "json") || (is_auto && !o->secret))) {
		r = buf_append(json, text.data, text.len);
	} else if (!r) {
		r = json_append_string(json, (char *)text.data, text.len);
	}
	buf_deinit_secret(&text);
	return r;
}

static int vars_path(const char *key, const char *query, struct buf *path)
{
	if (buf_append_str(path, "/v1/variables/") ||
	    percent_append(path, key) || buf_append_str(path, query) ||
	    !buf_cstr(path))
		return -ENOMEM;
	return 0;
}

static int vars_request(struct api *api, const char *method, const char *key,
			const char *query, const struct buf *body,
			const char *doing, struct buf *out)
{
	struct buf path = { 0 };
	struct api_request request = { .method = method };
	struct api_reply reply = { 0 };
	int exit_code = CLI_FAILED;

	if (!vars_path(key, query, &path)) {
		request.path = (char *)path.data;
		request.body = body ? body->data : NULL;
		request.body_len = body ? body->len : 0;
		request.content_type = body ? "application/json" : NULL;
		if (api_call(api, &request, &reply))
			exit_code = CLI_OK;
		else
			api_explain(api, &reply, doing);
	}
	if (exit_code == CLI_OK && out) {
		*out = reply.body;
		reply.body = (struct buf){ 0 };
	}
	api_reply_deinit(&reply);
	buf_deinit(&path);
	return exit_code;
}

static int vars_set(struct api *api, const void *options, char **words)
{
	const struct vars_options *o = options;
	struct buf value = { 0 };
	int exit_code = CLI_USAGE;

	if (!vars_value(o, words[1], &value))
		exit_code = vars_request(api, "PUT", words[0],
					 o->secret ? "?secret=1" : "", &value,
					 "set the variable", NULL);
	buf_deinit_secret(&value);
	return exit_code;
}

/* --- get, rm ------------------------------------------------------------- */

/* The text of a JSON string; anything else as it is. */
static int vars_unquote(struct buf *value)
{
	_cleanup_json_ json_t *v = json_loadb((char *)value->data, value->len,
					      JSON_DECODE_ANY | JSON_ALLOW_NUL,
					      NULL);

	if (!json_is_string(v))
		return 0;
	buf_clear(value);
	return buf_append(value, json_string_value(v), json_string_length(v));
}

static int vars_get(struct api *api, const void *options, char **words)
{
	const struct vars_options *o = options;
	struct buf value = { 0 };
	int exit_code = vars_request(api, "GET", words[0], "", NULL,
				     "read the variable", &value);

	if (exit_code == CLI_OK &&
	    ((o->raw && vars_unquote(&value) < 0) ||
	     buf_append_str(&value, "\n") < 0 ||
	     output_bytes(STDOUT_FILENO, value.data, value.len) < 0))
		exit_code = CLI_FAILED;
	buf_deinit_secret(&value);
	return exit_code;
}

static int vars_rm(struct api *api, const void *options, char **words)
{
	return vars_request(api, "DELETE", words[0], "", NULL,
			    "remove the variable", NULL);
}

/* --- list ---------------------------------------------------------------- */

static void vars_row(const json_t *v, struct output_cell *cells)
{
	size_t size = sizeof(cells->text);
	bool secret = json_get_bool(v, "secret", false);

	snprintf(cells[0].text, size, "%s", json_get_str(v, "key", "?"));
	snprintf(cells[1].text, size, "%s", secret ? "secret" : "plain");
	cells[1].colour = secret ? OUTPUT_YELLOW : NULL;
	snprintf(cells[2].text, size, "%lld",
		 (long long)json_get_int(v, "version", 0));
	snprintf(cells[3].text, size, "%lld",
		 (long long)json_get_int(v, "bytes", 0));
	output_time(json_get_int(v, "updated_ms", 0), cells[4].text, size);
}

static void vars_print(const json_t *list)
{
	static const char *const heads[VARS_COLUMNS] = { "NAME", "KIND",
							 "VERSION", "BYTES",
							 "UPDATED" };
	const json_t *vars = json_object_get(list, "variables");
	size_t n = json_array_size(vars);
	_cleanup_free_ struct output_cell *cells = calloc(n * VARS_COLUMNS + 1,
							  sizeof(*cells));

	if (!cells)
		return;
	for (size_t i = 0; i < n; i++)
		vars_row(json_array_get(vars, i), &cells[i * VARS_COLUMNS]);
	output_table(heads, VARS_COLUMNS, cells, n);
}

static int vars_list(struct api *api, const void *options, char **words)
{
	const struct vars_options *o = options;
	_cleanup_(buf_deinit) struct buf path = { 0 };
	int r = buf_append_str(&path, "/v1/variables?prefix=");

	if (!r)
		r = percent_append(&path, o->prefix ? o->prefix : "");
	return show_get(api, &o->globals, r ? NULL : buf_cstr(&path),
			"list the variables", vars_print);
}

/* --- watch --------------------------------------------------------------- */

static int vars_run_watch(struct api *api, const void *options, char **words)
{
	const struct vars_options *o = options;
	uint64_t from = 0;

	if (o->from &&
	    (option_parse_uint(o->from, &from) < 0 || from > INT64_MAX)) {
		output_error("--from %s: a version is a number, as "
			     "`cronium vars list` shows it",
			     o->from);
		return CLI_USAGE;
	}
	return vars_watch(api, words[0], o->from ? (int64_t)from : -1);
}

/* --- the command --------------------------------------------------------- */

static const struct verb vars_verbs[] = {
	{ "set", "KEY VALUE|-", 2, 2, false, vars_set },
	{ "get", "KEY", 1, 1, false, vars_get },
	{ "list", "", 0, 0, false, vars_list },
	{ "rm", "KEY", 1, 1, false, vars_rm },
	{ "watch", "KEY", 1, 1, false, vars_run_watch },
};

static int vars_run(const void *options, char **words, size_t n_words)
{
	return verb_run("vars", vars_verbs, ARRAY_SIZE(vars_verbs), options,
			words, n_words);
}

const struct command command_vars = {
	.name = "vars",
	.words = VARS_WORDS,
	.summary = "Variables and secrets that scripts read",
	.details =
		"VALUE - is stdin: a secret given as a word would show up in "
		"`ps` and in the shell's\nhistory. get prints JSON; --raw "
		"the text of a string. watch prints\na line "
		"{\"key\",\"version\",\"value\"} for how it is and for "
		"each change, until Ctrl-C.\n",
	.options = vars_specs,
	.n_options = ARRAY_SIZE(vars_specs),
	.options_bytes = sizeof(struct vars_options),
	.words_min = 1,
	.words_max = 3,
	.run = vars_run,
};
