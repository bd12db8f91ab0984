#include "cli/exec_result.h"

#include <errno.h>
#include <string.h>

#include "cli/command.h"
#include "cli/job_output.h"
#include "cli/job_view.h"
#include "cli/output.h"
#include "common/base64.h"
#include "common/json.h"

bool exec_result_is_log(const char *capability)
{
	return !strcmp(capability, "shell.exec") ||
	       !strcmp(capability, "git.exec");
}

/* The file's bytes, and nothing beside them. */
static int exec_print_content(const json_t *output)
{
	const json_t *content = json_object_get(output, "content");
	const char *text = json_string_value(content);
	size_t len = json_string_length(content);
	_cleanup_(buf_deinit) struct buf bytes = { 0 };
	_cleanup_free_ uint8_t *data = NULL;
	int64_t size = json_get_int(output, "size", 0);
	int64_t end = json_get_int(output, "offset", 0) +
		      json_get_int(output, "bytes", 0);
	ssize_t n = (ssize_t)len;

	if (!strcmp(json_get_str(output, "encoding", ""), "base64")) {
		data = malloc(BASE64_DECODED_MAX(len));
		n = data ? base64_decode(text, len, data) : -ENOMEM;
		text = (const char *)data;
	}
	if (n < 0 || !text || buf_append(&bytes, text, (size_t)n)) {
		output_error("the content cannot be decoded");
		return -EINVAL;
	}
	if (job_output_write(&bytes))
		return -EIO;
	if (json_get_bool(output, "truncated", false))
		output_warn("%lld of %lld bytes: go on with \"offset\": %lld",
			    (long long)json_get_int(output, "bytes", 0),
			    (long long)size, (long long)end);
	return 0;
}

static void exec_print_written(const json_t *job, const json_t *output)
{
	const char *path = json_get_str(output, "path", "?");

	if (!json_get_bool(output, "changed", true))
		output_text("%s is so already\n", path);
	else if (json_get_bool(output, "removed", false))
		output_text("%s removed\n", path);
	else
		output_text("%s %s, %lld bytes\n", path,
			    json_get_bool(output, "created", false) ? "created"
								    : "written",
			    (long long)json_get_int(output, "bytes", 0));
	if (json_is_object(json_object_get(output, "undo")))
		output_note("undo: cronium exec --undo %s",
			    json_get_str(job, "id", ""));
}

/* A line for each member; what is nested as JSON. */
static void exec_print_members(const json_t *output)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)output, name, v) {
		_cleanup_(buf_deinit) struct buf text = { 0 };

		if (json_is_null(v) || !strcmp(name, "dry_run"))
			continue;
		if (json_is_string(v))
			output_text("%-15s %s\n", name, json_string_value(v));
		else if (!json_append(&text, v) && buf_cstr(&text))
			output_text("%-15s %s\n", name, buf_cstr(&text));
	}
}

int exec_result_print(const char *capability, const json_t *job,
		      const json_t *output)
{
	if (json_get_bool(output, "dry_run", false)) {
		output_text("%-15s nothing was done\n", "dry run");
		exec_print_members(output);
		return 0;
	}
	if (!strcmp(capability, "file.read"))
		return exec_print_content(output);
	if (!strcmp(capability, "file.write"))
		exec_print_written(job, output);
	else if (!exec_result_is_log(capability))
		exec_print_members(output);
	return 0;
}

int exec_result_exit_code(const json_t *job, const json_t *output)
{
	int code = job_view_exit_code(job);

	if (code != CLI_OK)
		return code;
	if (json_get_bool(output, "timed_out", false)) {
		output_error("the command was killed: it took longer than its "
			     "\"timeout_ms\"");
		return CLI_TIMED_OUT;
	}
	return (int)json_get_int(output, "exit_code", CLI_OK);
}
