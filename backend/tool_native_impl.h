/* What tool_native*.c share. */
#pragma once

#include "backend/tool_native.h"

struct tool_schema;

struct tool_native_action {
	const char *name, *summary;
	json_t *source;
	struct tool_schema *params;
};
