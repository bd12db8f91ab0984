/*
 * One capability: a program that the server has, and what may be asked of it,
 * as its file backend/capabilities/NAME.yaml says. Checked when the backend
 * starts. Pure.
 *
 *   name        the file's, without its suffix
 *   summary     a line for people
 *   script      files beside it that, one behind the other, are the program
 *               (Python)
 *   params      the schema of its arguments (tool_schema.h); closed
 *   paths       arguments that are paths: absolute, and normalised lexically
 *   permissions a template (tool_template.h, {{params.…}}) of the job's
 *   shares      none | listed | all: what it is shown of the machine, namely
 *               what its permissions list, or every share
 *   processes   it sees the processes of the machine
 *   undoable    its output says how to undo it
 *   timeout_ms, timeout_max_ms
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macro.h"

struct tool_schema;
struct tool_template;
struct tool_violations;

#define CAPABILITY_NAME_MAX_BYTES 64
#define CAPABILITY_SUMMARY_MAX_BYTES 256
#define CAPABILITY_PATH_MAX_BYTES 1024 /* as in a list of permissions */
#define CAPABILITY_SCRIPTS_MAX 8       /* files of one program */

struct capability {
	char *name, *summary;
	json_t *params_source; /* the schema, to be shown */
	struct tool_schema *params;
	json_t *paths; /* array of names */
	struct tool_template *permissions;
	char *shares; /* "none", "listed" or "all" */
	bool processes, undoable;
	int64_t timeout_ms, timeout_max_ms;
	struct buf script;
};

/* A file that is built in; the last of a table has a NULL name. */
struct capability_file {
	const char *file;
	const char *text;
	size_t len;
};

extern const struct capability_file capability_files[];

/*
 * Reads f; its script's parts are looked for in files. 0 with the capability
 * in *out, TOOL_E_INVALID (tool_schema.h) with the violations, or -ENOMEM.
 */
int capability_load(const struct capability_file *f,
		    const struct capability_file *files,
		    struct tool_violations *v,
		    struct capability **out) MUST_CHECK;
void capability_free(struct capability *c);
DEFINE_CLEANUP(struct capability *, capability_free)

/* For GET /v1/capabilities; with the schema when full. NULL on ENOMEM. */
json_t *capability_describe(const struct capability *c, bool full);

/*
 * What the arguments ask for: *args with defaults, paths normalised, and the
 * job's *permissions (both json_decref). 0, TOOL_E_INVALID with all
 * violations, or -ENOMEM.
 */
int capability_check(const struct capability *c, const json_t *given,
		     struct tool_violations *v, json_t **args,
		     json_t **permissions) MUST_CHECK;
