/*
 * {{a.b.c}}: what references are made of, what they may name, and what they
 * are when a template is rendered. Pure.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "backend/tool_file.h"
#include "backend/tool_template.h"
#include "common/macro.h"

struct tool_path;
struct tool_violations;

#define TOOL_REFERENCE_MAX_BYTES 256

/* "params.a.b": len bytes without the braces; blanks around it are fine. 0,
 * TOOL_E_INVALID with a violation, or -ENOMEM. */
int tool_reference_parse(const char *text, size_t len,
			 const struct tool_template_scope *scope,
			 const struct tool_path *path,
			 struct tool_violations *v,
			 struct tool_reference *out) MUST_CHECK;
void tool_reference_deinit(struct tool_reference *r);

/* The value (json_decref), or NULL when it is absent. -ENOMEM in *error. */
json_t *tool_reference_value(const struct tool_reference *r,
			     const struct tool_template_values *values,
			     int *error) MUST_CHECK;

bool tool_reference_is(const struct tool_reference *r, const char *root);
/* "/a/b" for a parameter, "" for everything else: where a violation is. */
void tool_reference_place(const struct tool_reference *r,
			  struct tool_path *out);
/* "params.a.b", cut to size. */
void tool_reference_text(const struct tool_reference *r, char *out,
			 size_t size);

/* Follows names in objects and, by digits, in arrays; NULL: not there. */
const json_t *tool_reference_follow(const json_t *v, char *const *names,
				    size_t n);
