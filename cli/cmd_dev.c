/* cronium dev: a script with a fake runtime, on this machine. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/dev.h"
#include "cli/dev_compare.h"
#include "cli/dev_fixtures.h"
#include "cli/dev_log.h"
#include "cli/dev_report.h"
#include "cli/dev_state.h"
#include "cli/output.h"
#include "common/buf.h"
#include "common/file.h"
#include "common/json.h"
#include "common/sdk_dir.h"
#include "common/yaml.h"

struct dev_options {
	struct cli_globals globals;
	const char *fixtures, *record, *sdk_dir;
	uint64_t timeout_ms;
	bool check, quiet;
};

#define DEV_OPTION(name, letter, type, field, arg, help)                     \
	CLI_OPTION(name, letter, type, struct dev_options, field, arg, NULL, \
		   help)

static const struct option_spec dev_specs[] = {
	DEV_OPTION("fixtures", 'f', OPTION_STRING, fixtures, "FILE",
		   "inputs, variables, tool results: YAML, or .json"),
	DEV_OPTION("record", 0, OPTION_STRING, record, "FILE",
		   "write the fixtures, and what the script did with them, as "
		   "a test"),
	DEV_OPTION("check", 0, OPTION_FLAG, check, NULL,
		   "compare with what the fixtures expect; 1 if it differs"),
	DEV_OPTION("timeout", 't', OPTION_DURATION, timeout_ms, "TIME",
		   "end the script after so long, e.g. 30s or 5m"),
	DEV_OPTION("quiet", 'q', OPTION_FLAG, quiet, NULL,
		   "say nothing about what the script does"),
	DEV_OPTION("sdk-dir", 0, OPTION_STRING, sdk_dir, "DIR",
		   "where the SDKs are; default: those that belong to this "
		   "program"),
	CLI_JSON_OPTION,
	CLI_HELP_OPTION,
};

/* --- fixtures ------------------------------------------------------------- */

static int read_file(const char *file, struct buf *out)
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : file_read_all(fd, YAML_TEXT_MAX_BYTES, out);
}

static void tell_mistakes(const char *file, struct buf *mistakes)
{
	char *line, *rest = buf_cstr(mistakes);

	while (rest && (line = strsep(&rest, "\n")) && *line)
		output_error("%s: %s", file, line);
}

/* 0, or negative errno after a message. */
static int load(const char *file, struct dev_fixtures *out)
{
	_cleanup_(buf_deinit_secret) struct buf text = { 0 };
	_cleanup_(buf_deinit) struct buf mistakes = { 0 };
	int r = file ? read_file(file, &text) : 0;

	if (r == -EFBIG)
		output_error("%s: it has more than %d bytes", file,
			     YAML_TEXT_MAX_BYTES);
	else if (r < 0)
		output_error("cannot read %s: %s", file, strerror(-r));
	if (r < 0)
		return r;
	r = dev_fixtures_parse(out, file ? file : "", text.data, text.len,
			       &mistakes);
	if (r == -EINVAL)
		tell_mistakes(file, &mistakes);
	else if (r < 0)
		output_error("out of memory");
	return r;
}

static int check_options(const struct dev_options *o)
{
	if (o->check && !o->fixtures) {
		output_error("--check compares with what a file expects: name "
			     "one with --fixtures, made by --record");
		return -EINVAL;
	}
	if (o->check && o->record) {
		output_error("--check and --record do not go together");
		return -EINVAL;
	}
	return 0;
}

/* --- running -------------------------------------------------------------- */

static int find_sdk(const struct dev_options *o, char sdk_dir[PATH_MAX],
		    const char **out)
{
	int r = sdk_dir_find(o->sdk_dir, sdk_dir);

	*out = r < 0 ? NULL : sdk_dir;
	if (r < 0 && o->sdk_dir)
		output_error("--sdk-dir %s: %s", o->sdk_dir, strerror(-r));
	else if (r < 0 && !o->quiet)
		output_note("the SDKs are not beside this program; name them "
			    "with --sdk-dir");
	return o->sdk_dir ? r : 0;
}

/* The differences, printed; negative errno. */
static int compare(const struct dev_options *o, const struct dev_fixtures *f,
		   json_t *report)
{
	_cleanup_json_ json_t *list = json_array();
	const json_t *line;
	size_t i;

	if (!list || dev_compare(f->expect, report, list) < 0)
		return -ENOMEM;
	json_array_foreach(list, i, line)
		output_error("%s: %s", o->fixtures, json_string_value(line));
	if (json_object_set(report, "differences", list) < 0)
		return -ENOMEM;
	return (int)json_array_size(list);
}

static int finish(const struct dev_options *o, const struct dev_fixtures *f,
		  struct dev_state *state, const struct dev_result *result)
{
	_cleanup_json_ json_t *report = dev_report_new(state, result);
	int r = 0,
	    exit_code = result->timed_out ? CLI_TIMED_OUT : result->exit_code;

	if (!report) {
		output_error("out of memory");
		return CLI_FAILED;
	}
	if (!o->quiet)
		dev_report_print(report, state->log);
	if (o->record)
		r = dev_report_save(o->record, f->doc, report);
	if (r < 0)
		output_error("cannot write %s: %s", o->record, strerror(-r));
	if (o->check)
		r = compare(o, f, report);
	if (o->globals.json)
		output_json(report);
	if (o->check && r >= 0)
		return r ? CLI_FAILED : CLI_OK;
	return r < 0 ? CLI_FAILED : exit_code;
}

static int run(const struct dev_options *o, const struct dev_fixtures *f,
	       char **words)
{
	char sdk_dir[PATH_MAX];
	struct dev_config config = {
		.argv = words,
		.timeout_ms = o->timeout_ms,
		.stdout_is_ours = o->globals.json,
	};
	struct dev_log log;
	struct dev_state state;
	struct dev_result result;
	int exit_code = CLI_FAILED, r = dev_log_init(&log, o->quiet);

	if (r < 0 || find_sdk(o, sdk_dir, &config.sdk_dir) < 0)
		return r < 0 ? CLI_FAILED : CLI_USAGE;
	r = dev_state_init(&state, f, &log);
	if (r < 0)
		output_error("out of memory");
	else if (dev_run(&config, &state, &result) < 0)
		exit_code = result.exit_code;
	else
		exit_code = finish(o, f, &state, &result);
	dev_state_deinit(&state);
	dev_log_deinit(&log);
	return exit_code;
}

static int dev_command(const void *options, char **words, size_t n_words)
{
	const struct dev_options *o = options;
	struct dev_fixtures fixtures;
	int exit_code = CLI_USAGE;

	if (check_options(o) < 0 || load(o->fixtures, &fixtures) < 0)
		return CLI_USAGE;
	if (o->check && !fixtures.expect)
		output_error("%s: it expects nothing; --record writes a file "
			     "that does",
			     o->fixtures);
	else
		exit_code = run(o, &fixtures, words);
	dev_fixtures_deinit(&fixtures);
	return exit_code;
}

const struct command command_dev = {
	.name = "dev",
	.words = "-- PROGRAM [ARG...]",
	.summary = "Runs a script here, with a fake runtime from a file",
	.details = "Any program in any language: `cronium dev --fixtures "
		   "dev.yaml -- python3 hello.py`.\nWhat it does is told on "
		   "stderr; the exit code is the script's. docs/dev.md says "
		   "what\nthe file may have.\n",
	.options = dev_specs,
	.n_options = ARRAY_SIZE(dev_specs),
	.options_bytes = sizeof(struct dev_options),
	.words_min = 1,
	.words_max = SIZE_MAX,
	.words_any = true,
	.run = dev_command,
};
