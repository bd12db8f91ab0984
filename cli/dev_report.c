#include "cli/dev_report.h"

#include <errno.h>
#include <string.h>

#include "cli/dev.h"
#include "cli/dev_log.h"
#include "cli/dev_state.h"
#include "cli/yaml_write.h"
#include "common/buf.h"
#include "common/file.h"
#include "common/json.h"
#include "common/redact.h"

static json_t *parse(const void *text, size_t len)
{
	return json_loadb(text, len, JSON_DECODE_ANY, NULL);
}

/* --- gathering: nothing is masked yet ------------------------------------- */

static json_t *written(const struct dev_state *s)
{
	json_t *out = json_object();
	const struct dev_variable *v;

	TAILQ_FOREACH(v, &s->store.variables, link)
		if (v->written)
			json_object_set_new(out, v->key,
					    v->secret ? json_string(REDACT_MASK)
						      : parse(v->value.data,
							      v->value.len));
	return out;
}

static json_t *names(const json_t *set)
{
	json_t *out = json_array();
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)set, name, value)
		json_array_append_new(out, json_string(name));
	return out;
}

static json_t *records(const struct dev_stream *s)
{
	json_t *out = json_array();
	size_t at, end;

	for (int64_t i = 0; i < s->n; i++) {
		at = s->starts[i];
		end = i + 1 < s->n ? s->starts[i + 1] : s->text.len;
		json_array_append_new(out, parse(s->text.data + at, end - at));
	}
	return out;
}

static json_t *gather(const struct dev_state *s, const struct dev_result *r)
{
	json_t *out = json_pack(
		"{s:i,s:o,s:b,s:b,s:o,s:o,s:o,s:o,s:b,s:O}", "exit_code",
		r->exit_code, "signal",
		r->signal ? json_integer(r->signal) : json_null(), "timed_out",
		r->timed_out, "no_output", !s->has_output, "condition",
		s->condition < 0 ? json_null() : json_boolean(s->condition),
		"variables", written(s), "deleted", names(s->deleted),
		"output_stream", records(&s->output), "output_stream_ended",
		s->output.ended, "tool_calls", s->calls);

	if (out && s->has_output &&
	    json_object_set_new(out, "output",
				parse(s->value.data, s->value.len)) < 0) {
		json_decref(out);
		return NULL;
	}
	return out;
}

json_t *dev_report_new(const struct dev_state *state,
		       const struct dev_result *result)
{
	_cleanup_json_ json_t *raw = gather(state, result);

	return raw ? dev_log_mask(state->log, raw) : NULL;
}

json_t *dev_report_expect(const json_t *report)
{
	static const char *const members[] = {
		"exit_code", "output",        "condition",  "variables",
		"deleted",   "output_stream", "tool_calls",
	};
	json_t *out = json_object(), *value;

	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		value = json_object_get(report, members[i]);
		if (value && json_object_set(out, members[i], value) < 0)
			goto fail;
	}
	if (!json_object_get(report, "output") &&
	    json_object_set_new(out, "no_output", json_true()) < 0)
		goto fail;
	return out;
fail:
	json_decref(out);
	return NULL;
}

/* --- lines ---------------------------------------------------------------- */

static void print_value(struct dev_log *log, const char *name,
			const json_t *value)
{
	_cleanup_(buf_deinit) struct buf text = { 0 };

	if (json_append(&text, value) == 0 && buf_cstr(&text))
		dev_log_tell(log, "%s %s", name, (char *)text.data);
}

static void print_variables(struct dev_log *log, const json_t *report)
{
	const char *name;
	json_t *value;
	size_t i;

	json_object_foreach(json_object_get(report, "variables"), name, value) {
		_cleanup_(buf_deinit) struct buf text = { 0 };

		if (json_append(&text, value) == 0 && buf_cstr(&text))
			dev_log_tell(log, "  variable %s = %s", name,
				     (char *)text.data);
	}
	json_array_foreach(json_object_get(report, "deleted"), i, value)
		dev_log_tell(log, "  variable %s is deleted",
			     json_string_value(value));
}

void dev_report_print(const json_t *report, struct dev_log *log)
{
	const json_t *output = json_object_get(report, "output");
	const json_t *condition = json_object_get(report, "condition");
	size_t n_records = json_array_size(
		json_object_get(report, "output_stream"));
	size_t n_calls = json_array_size(json_object_get(report, "tool_calls"));

	if (json_get_int(report, "signal", 0))
		dev_log_tell(log, "the script was ended by signal %lld",
			     (long long)json_get_int(report, "signal", 0));
	else
		dev_log_tell(log, "the script ended with exit code %lld",
			     (long long)json_get_int(report, "exit_code", 0));
	if (output)
		print_value(log, "  output", output);
	else
		dev_log_tell(log, "  no output");
	if (!json_is_null(condition))
		print_value(log, "  condition", condition);
	print_variables(log, report);
	if (n_records || json_get_bool(report, "output_stream_ended", false))
		dev_log_tell(log, "  output stream: %zu records%s", n_records,
			     json_get_bool(report, "output_stream_ended", false)
				     ? ", ended"
				     : "");
	if (n_calls)
		dev_log_tell(log, "  %zu tool calls", n_calls);
}

/* --- recording ------------------------------------------------------------ */

static int render(const char *file, const json_t *doc, struct buf *out)
{
	size_t len = strlen(file);
	char *text;
	int r;

	if (len < 5 || strcmp(file + len - 5, ".json") != 0)
		return yaml_write(out, doc);
	text = json_dumps(doc, JSON_INDENT(2));
	r = text ? buf_append_str(out, text) : -ENOMEM;
	free(text);
	return r ? r : buf_append(out, "\n", 1);
}

int dev_report_save(const char *file, const json_t *fixtures,
		    const json_t *report)
{
	_cleanup_json_ json_t *doc = json_copy((json_t *)(uintptr_t)fixtures);
	_cleanup_(buf_deinit_secret) struct buf text = { 0 };
	bool secrets = json_object_size(json_object_get(fixtures, "secrets"));
	int r;

	if (!doc ||
	    json_object_set_new(doc, "expect", dev_report_expect(report)) < 0)
		return -ENOMEM;
	r = render(file, doc, &text);
	return r < 0 ? r
		     : file_replace(file, text.data, text.len,
				    secrets ? 0600 : 0644);
}
