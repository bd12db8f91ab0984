/* cronium audit: who did what, the newest first. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/show.h"
#include "common/json.h"
#include "common/percent.h"

#define AUDIT_COLUMNS 6

struct audit_options {
	struct cli_globals globals;
	const char *execution, *job;
	uint64_t limit, before;
};

#define AUDIT_OPTION(name, letter, type, field, arg, initial, help)      \
	CLI_OPTION(name, letter, type, struct audit_options, field, arg, \
		   initial, help)

static const struct option_spec audit_specs[] = {
	AUDIT_OPTION("execution", 'e', OPTION_STRING, execution, "EXECUTION",
		     NULL, "what this execution did"),
	AUDIT_OPTION("job", 'j', OPTION_STRING, job, "JOB", NULL,
		     "what was done to this job, and by its executions"),
	AUDIT_OPTION("limit", 'n', OPTION_UINT, limit, "N", "50", "how many"),
	AUDIT_OPTION("before", 0, OPTION_UINT, before, "ID", NULL,
		     "go on after this entry"),
	CLI_SERVER_OPTIONS,
};

static void audit_cell(struct output_cell *cell, const json_t *entry,
		       const char *key)
{
	snprintf(cell->text, sizeof(cell->text), "%s",
		 json_get_str(entry, key, "-"));
}

static void audit_row(const json_t *entry, struct output_cell *cells)
{
	bool ok = !strcmp(json_get_str(entry, "result", ""), "ok");

	output_time(json_get_int(entry, "at_ms", 0), cells[0].text,
		    sizeof(cells->text));
	audit_cell(&cells[1], entry, "who");
	audit_cell(&cells[2], entry, "action");
	audit_cell(&cells[3], entry, "target");
	audit_cell(&cells[4], entry, "result");
	cells[4].colour = ok ? OUTPUT_GREEN : OUTPUT_RED;
	audit_cell(&cells[5], entry, "trace_id");
}

static void audit_print(const json_t *list)
{
	static const char *const heads[AUDIT_COLUMNS] = { "TIME",   "WHO",
							  "ACTION", "TARGET",
							  "RESULT", "TRACE" };
	const json_t *entries = json_object_get(list, "entries");
	size_t n = json_array_size(entries);
	_cleanup_free_ struct output_cell *cells = calloc(n * AUDIT_COLUMNS + 1,
							  sizeof(*cells));

	if (!cells)
		return;
	for (size_t i = 0; i < n; i++)
		audit_row(json_array_get(entries, i),
			  &cells[i * AUDIT_COLUMNS]);
	output_table(heads, AUDIT_COLUMNS, cells, n);
	if (json_is_integer(json_object_get(list, "next")))
		output_note("more: cronium audit --before %lld",
			    (long long)json_get_int(list, "next", 0));
}

static int audit_path(const struct audit_options *o, struct buf *path)
{
	int r = buf_printf(path, "/v1/audit?limit=%llu",
			   (unsigned long long)o->limit);

	if (!r && o->before)
		r = buf_printf(path, "&before=%llu",
			       (unsigned long long)o->before);
	if (!r)
		r = percent_append_query(path, "execution", o->execution);
	if (!r)
		r = percent_append_query(path, "job", o->job);
	return r || !buf_cstr(path) ? -1 : 0;
}

static int audit_run(const void *options, char **words, size_t n_words)
{
	const struct audit_options *o = options;
	_cleanup_(buf_deinit) struct buf path = { 0 };

	return show_only(&o->globals,
			 audit_path(o, &path) ? NULL : buf_cstr(&path),
			 "read the audit log", audit_print);
}

const struct command command_audit = {
	.name = "audit",
	.words = "",
	.summary = "Lists who did what, the newest first",
	.options = audit_specs,
	.n_options = ARRAY_SIZE(audit_specs),
	.options_bytes = sizeof(struct audit_options),
	.run = audit_run,
};
