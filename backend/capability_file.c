/* Reading a capability's file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/capability.h"
#include "backend/job_spec.h"
#include "backend/tool_file_impl.h"
#include "backend/tool_schema.h"
#include "common/json.h"
#include "common/yaml.h"

#define CAPABILITY_SUFFIX ".yaml"
#define CAPABILITY_FIELD_MAX_BYTES 64

static const char *const capability_members[] = {
	"name",     "summary",     "script",         "params",
	"paths",    "permissions", "shares",         "processes",
	"undoable", "timeout_ms",  "timeout_max_ms", NULL,
};

struct capability_reader {
	struct tool_reader r;
	const struct capability_file *file, *files;
	const json_t *source;
	struct capability *c;
};

static void capability_read_name(struct capability_reader *cr)
{
	const char *file = cr->file->file;
	size_t len = strlen(file) - strlen(CAPABILITY_SUFFIX);
	struct capability *c = cr->c;

	c->name = tool_reader_line(&cr->r, cr->source, "name",
				   CAPABILITY_NAME_MAX_BYTES);
	if (!c->name || strlen(c->name) != len || strncmp(c->name, file, len))
		tool_reader_say(&cr->r, "name must be the file's, %.*s",
				(int)len, file);
	c->summary = tool_reader_line(&cr->r, cr->source, "summary",
				      CAPABILITY_SUMMARY_MAX_BYTES);
	if (!c->summary)
		tool_reader_say(&cr->r, "summary is required");
}

static const struct capability_file *capability_find_part(
	const struct capability_reader *cr, const char *name)
{
	for (const struct capability_file *f = cr->files; name && f->file; f++)
		if (!strcmp(f->file, name))
			return f;
	return NULL;
}

/* The parts, one behind the other. */
static void capability_read_script(struct capability_reader *cr)
{
	const json_t *list = json_object_get(cr->source, "script"), *item;
	size_t i;

	if (!json_array_size(list) ||
	    json_array_size(list) > CAPABILITY_SCRIPTS_MAX)
		tool_reader_say(&cr->r, "script must list 1 to %d files",
				CAPABILITY_SCRIPTS_MAX);
	json_array_foreach(list, i, item) {
		const struct capability_file *f =
			capability_find_part(cr, json_string_value(item));

		if (!f)
			tool_reader_say(&cr->r, "script %zu is not here", i);
		else if (buf_append(&cr->c->script, f->text, f->len) ||
			 buf_append_str(&cr->c->script, "\n\n"))
			cr->r.error = -ENOMEM;
	}
}

/* Closed, so that a typing error is told. */
static void capability_read_params(struct capability_reader *cr)
{
	_cleanup_json_ json_t *closed = json_pack("{s:s,s:b}", "type", "object",
						  "additionalProperties", 0);
	const json_t *v = json_object_get(cr->source, "params");
	size_t before = tool_path_push(&cr->r.path, "params");
	struct capability *c = cr->c;
	int e = -ENOMEM;

	c->params_source = json_is_object(v) ? json_copy((json_t *)v) : NULL;
	if (!json_is_object(v))
		tool_reader_say(&cr->r, "must be an object");
	else if (closed && c->params_source &&
		 !json_object_update(c->params_source, closed))
		e = tool_schema_compile(c->params_source, &cr->r.path,
					cr->r.violations, &c->params);
	if (e < 0 && json_is_object(v))
		cr->r.error = e;
	tool_path_pop(&cr->r.path, before);
}

static void capability_read_paths(struct capability_reader *cr)
{
	const json_t *v = json_object_get(cr->source, "paths"), *item;
	const json_t *properties = json_object_get(cr->c->params_source,
						   "properties");
	size_t i;

	if (v && !json_is_array(v))
		tool_reader_say(&cr->r, "paths must be a list");
	json_array_foreach(v, i, item)
		if (!json_is_string(item) ||
		    !json_object_get(properties, json_string_value(item)))
			tool_reader_say(&cr->r, "paths: %zu names no param", i);
	cr->c->paths = v ? json_incref((json_t *)(uintptr_t)v) : json_array();
	if (!cr->c->paths)
		cr->r.error = -ENOMEM;
}

static void capability_read_place(struct capability_reader *cr)
{
	struct capability *c = cr->c;

	cr->r.scope.params = c->params;
	if (c->params)
		c->permissions = tool_reader_template(&cr->r, cr->source,
						      "permissions",
						      TOOL_TEMPLATE_VALUE);
	if (!json_object_get(cr->source, "permissions"))
		tool_reader_say(&cr->r, "permissions is required");
	c->shares = tool_reader_line(&cr->r, cr->source, "shares",
				     CAPABILITY_FIELD_MAX_BYTES);
	if (!c->shares ||
	    (strcmp(c->shares, "none") != 0 &&
	     strcmp(c->shares, "listed") != 0 && strcmp(c->shares, "all") != 0))
		tool_reader_say(&cr->r, "shares must be none, listed or all");
	c->processes = tool_reader_bool(&cr->r, cr->source, "processes", false);
	c->undoable = tool_reader_bool(&cr->r, cr->source, "undoable", false);
	c->timeout_max_ms = tool_reader_int(&cr->r, cr->source,
					    "timeout_max_ms", 1,
					    JOB_SPEC_TIMEOUT_MAX_MS, 0);
	c->timeout_ms = tool_reader_int(&cr->r, cr->source, "timeout_ms", 1,
					c->timeout_max_ms, 0);
	if (!c->timeout_ms || !c->timeout_max_ms)
		tool_reader_say(&cr->r, "timeout_ms and timeout_max_ms are "
					"required");
}

static void capability_read(struct capability_reader *cr)
{
	if (!tool_reader_object(&cr->r, cr->source, capability_members))
		return;
	capability_read_name(cr);
	capability_read_script(cr);
	capability_read_params(cr);
	if (cr->r.error)
		return;
	capability_read_paths(cr);
	capability_read_place(cr);
}

int capability_load(const struct capability_file *f,
		    const struct capability_file *files,
		    struct tool_violations *v, struct capability **out)
{
	char err[YAML_ERROR_MAX_BYTES];
	_cleanup_json_ json_t *source =
		yaml_parse_named(f->file, f->text, f->len, err, sizeof(err));
	_cleanup_(capability_freep) struct capability *c = calloc(1,
								  sizeof(*c));
	struct capability_reader cr = {
		.r = { .violations = v },
		.file = f,
		.files = files,
		.source = source,
		.c = c,
	};
	size_t before = v->found;

	if (!c)
		return -ENOMEM;
	tool_path_init(&cr.r.path, "");
	if (source)
		capability_read(&cr);
	else
		tool_reader_say(&cr.r, "%s", err);
	if (cr.r.error || v->error)
		return cr.r.error ? cr.r.error : v->error;
	if (v->found != before)
		return TOOL_E_INVALID;
	*out = c;
	c = NULL;
	return 0;
}
