/* What checks a value against a schema, for the files that do. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/tool_schema.h"
#include "backend/tool_schema_impl.h"
#include "backend/tool_violations.h"

/* One check of a whole value. */
struct tool_check {
	struct tool_violations *violations;
	struct tool_path path;
	size_t steps;            /* schemas that may still be applied */
	uint64_t pattern_budget; /* tool_pattern_match()'s */
	int error;               /* -ENOMEM */
};

/* Begins a violation's text at the place at hand. */
#define tool_say(c, ...) \
	tool_violations_add((c)->violations, (c)->path.text, __VA_ARGS__)

/* Counts work. False once there was too much of it, which is said once. */
bool tool_spend(struct tool_check *c, size_t n);

/* tool_schema_scalar.c: each says what is wrong. False: the rest of the schema
 * is about values of another type. */
bool tool_check_type(struct tool_check *c, const struct tool_schema *s,
		     const json_t *v);
void tool_check_choices(struct tool_check *c, const struct tool_schema *s,
			const json_t *v);
void tool_check_number(struct tool_check *c, const struct tool_schema *s,
		       const json_t *v);
void tool_check_string(struct tool_check *c, const struct tool_schema *s,
		       const json_t *v);
/* min and max: negative for none; what: "items". */
void tool_check_count(struct tool_check *c, int64_t n, int64_t min, int64_t max,
		      const char *what);
