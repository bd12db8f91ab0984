/*
 * Parameter schemas: a subset of JSON Schema 2020-12, compiled once when a
 * tool's file is loaded and checked at every call. A keyword that is not in
 * the subset is a mistake of the file, so that nobody believes it enforced.
 * docs/tools.md has the subset. There is no $ref: a check goes no deeper than
 * the schema does. Pure.
 *
 * Patterns are PCRE2's, run with limits: one that needs too long for a value
 * is a violation, never a hang.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"

struct tool_path;
struct tool_schema;
struct tool_violations;

#define TOOL_SCHEMA_DEPTH_MAX 32           /* schemas within schemas */
#define TOOL_SCHEMA_MEMBERS_MAX 256        /* of one keyword's object or list */
#define TOOL_SCHEMA_UNIQUE_MAX_ITEMS 1024  /* of an array with uniqueItems */
#define TOOL_SCHEMA_CHECKS_MAX 1000000     /* steps of one check, about 0.1 s */
#define TOOL_SCHEMA_DEFAULT_MAX_BYTES 4096 /* as JSON */
#define TOOL_SCHEMA_DEFAULT_COST 20        /* steps */

enum {
	TOOL_E_INVALID = 1, /* the violations say why */
};

/*
 * source: an object, true or false. path is where it stands in its file; it
 * is as it was afterwards. 0 with the schema in *out (tool_schema_free),
 * TOOL_E_INVALID, or -ENOMEM.
 */
int tool_schema_compile(const json_t *source, struct tool_path *path,
			struct tool_violations *v,
			struct tool_schema **out) MUST_CHECK;
void tool_schema_free(struct tool_schema *s);

/*
 * Says every violation. 0 with a copy in *out (json_decref) in which the
 * members that have a default and were absent are filled in, TOOL_E_INVALID,
 * or -ENOMEM. out may be NULL.
 */
int tool_schema_check(const struct tool_schema *s, const json_t *value,
		      struct tool_violations *v, json_t **out) MUST_CHECK;

/*
 * Whether a value of this schema can have the member names[0].names[1]…, for
 * references: members that `properties` lists, digits for an array's items;
 * where an object's members are not listed at all, or additionalProperties is
 * given and not false, any.
 */
bool tool_schema_has(const struct tool_schema *s, char *const *names, size_t n);
