/* A compiled schema, for the files that make and check it. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/tool_schema.h"

struct tool_format;
struct tool_pattern;

enum {
	TOOL_TYPE_NULL = 1,
	TOOL_TYPE_BOOLEAN = 2,
	TOOL_TYPE_INTEGER = 4,
	TOOL_TYPE_NUMBER = 8,
	TOOL_TYPE_STRING = 16,
	TOOL_TYPE_ARRAY = 32,
	TOOL_TYPE_OBJECT = 64,
};

#define TOOL_TYPE_NAMES \
	"null, boolean, integer, number, string, array or object"

struct tool_schema_list {
	struct tool_schema **items;
	size_t n;
};

struct tool_schema_member {
	char *name;                   /* of properties, or */
	struct tool_pattern *pattern; /* of patternProperties */
	struct tool_schema *schema;
};

/* A bound that is not given is -1; whatever else is not given is NULL or 0. */
struct tool_schema {
	bool never;         /* the schema false */
	unsigned int types; /* TOOL_TYPE_*; 0: any */
	json_t *choices, *constant, *fallback;
	json_t *minimum, *maximum, *above, *below, *multiple;
	int64_t min_length, max_length;
	struct tool_pattern *pattern;
	const struct tool_format *format;
	int64_t min_items, max_items;
	bool unique;
	struct tool_schema_list prefix;
	struct tool_schema *items;
	int64_t min_properties, max_properties;
	struct tool_schema_member *members, *patterns;
	size_t n_members, n_patterns;
	bool has_members; /* properties is given, perhaps empty */
	json_t *required; /* the names */
	struct tool_schema *additional;
	struct tool_schema_list all, any, one;
	struct tool_schema *negated;
};

/* The schema of a member that properties lists, else NULL. */
const struct tool_schema *tool_schema_member(const struct tool_schema *s,
					     const char *name);
