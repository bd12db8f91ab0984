/* What tool_native*.c share. */
#pragma once

#include "backend/tool_native.h"

struct token_claims;
struct tool_schema;
struct tool_violations;

struct tool_native_action {
	const char *name, *summary;
	const char *permission; /* member of native_tools that lets it be */
	json_t *source;
	struct tool_schema *params;
};

/*
 * members: the specification of a child as it is asked for; what its parent
 * has is set where it is silent, or in its place. Patterns that are more than
 * the parent's go to violations. 0 or -ENOMEM.
 */
int tool_native_inherit(json_t *members, const json_t *parent,
			const struct token_claims *claims, bool wait,
			struct tool_violations *violations) MUST_CHECK;
