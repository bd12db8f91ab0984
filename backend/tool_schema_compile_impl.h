/* What the files that compile a schema share: tool_schema_compile.c, and
 * tool_schema_limit.c for the keywords that say how large a value may be, or
 * what a string has to look like. */
#pragma once

#include <jansson.h>

struct tool_path;
struct tool_pattern;
struct tool_schema;
struct tool_violations;

/* One schema that is being compiled; those within it share the rest. */
struct tool_schema_compile {
	struct tool_schema *schema;
	struct tool_path *path; /* at the keyword, while one is read */
	struct tool_violations *violations;
	unsigned int depth;
	int error; /* -ENOMEM */
};

void tool_schema_expected(struct tool_schema_compile *c, const char *what,
			  const json_t *v);

/* A new pattern; NULL: the text is none, which was said. */
struct tool_pattern *tool_take_pattern(struct tool_schema_compile *c,
				       const char *text);

/* Reads one keyword's value into the schema; what is wrong is a violation. */
typedef void tool_keyword_fn(struct tool_schema_compile *c, const json_t *v);

tool_keyword_fn tool_read_minimum, tool_read_maximum, tool_read_above,
	tool_read_below, tool_read_multiple, tool_read_min_length,
	tool_read_max_length, tool_read_min_items, tool_read_max_items,
	tool_read_min_properties, tool_read_max_properties, tool_read_pattern,
	tool_read_format;
