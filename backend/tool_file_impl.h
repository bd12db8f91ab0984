/* What reads a tool's file, for the files that do. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/tool_file.h"
#include "backend/tool_template.h"
#include "backend/tool_violations.h"
#include "common/macro.h"

/* One file that is being read. */
struct tool_reader {
	struct tool_violations *violations;
	struct tool_path path; /* of what is being read */
	struct tool_template_scope scope;
	int error; /* -ENOMEM, remembered until the end */
};

/* A violation at the place at hand. */
#define tool_reader_say(r, ...) \
	tool_violations_add((r)->violations, (r)->path.text, __VA_ARGS__)

/*
 * The member, NULL where it is absent. tool_reader_enter() also walks there;
 * tool_reader_leave() with *before goes back, both only where it is not NULL.
 */
const json_t *tool_reader_enter(struct tool_reader *r, const json_t *object,
				const char *name, size_t *before);
void tool_reader_leave(struct tool_reader *r, size_t before);

/* False, said, when v is no object or has members that names (ended by NULL)
 * does not list; in the second case what is known can still be read. */
bool tool_reader_object(struct tool_reader *r, const json_t *v,
			const char *const *names);

/* Of object's member name; said when it is of another kind. */
char *tool_reader_line(struct tool_reader *r, const json_t *object,
		       const char *name, size_t max_bytes);
bool tool_reader_bool(struct tool_reader *r, const json_t *object,
		      const char *name, bool def);
int64_t tool_reader_int(struct tool_reader *r, const json_t *object,
			const char *name, int64_t min, int64_t max,
			int64_t def);
struct tool_template *tool_reader_template(struct tool_reader *r,
					   const json_t *object,
					   const char *name,
					   enum tool_template_place place);
/* 200, "200-299" or a list of these. False when it is absent. */
bool tool_reader_statuses(struct tool_reader *r, const json_t *object,
			  const char *name, struct tool_statuses *out);

/* One item of an action's `request`. *out is to be deinited in any case. */
void tool_request_read(struct tool_reader *r, const json_t *source,
		       struct tool_request *out);
void tool_request_deinit(struct tool_request *q);

void tool_action_read(struct tool_reader *r, const char *name,
		      const json_t *source, struct tool_action *out);
void tool_action_deinit(struct tool_action *a);
