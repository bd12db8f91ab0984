/*
 * Actions that Cronium does itself: jobs that a job starts. A child is
 * submitted as POST /v1/jobs would, with patterns that are within its
 * parent's, and its parent's runtime block, read_only, dry_run, executor, host,
 * memory, cpus and pids. It is idempotent by the parent's execution and key:
 * the same call again finds the same child.
 *
 *     parent's job ─▶ submission ─▶ submitted ─▶ reply
 *                                        └─(wait)─▶ follow ─▶ ended ─▶ reply
 *
 * A child that is waited for is bound to its parent (orphans.h); the wait
 * itself ends with the API call.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"

#define TOOL_NATIVE_NAME "cronium"
#define TOOL_NATIVE_DEPTH_MAX 8      /* jobs above one */
#define TOOL_NATIVE_CHILDREN_MAX 100 /* of one execution */
#define TOOL_NATIVE_FAMILY_MAX 1000  /* jobs below the first of them */

struct api_call;
struct tool_native;
struct tool_native_action;

int tool_native_new(struct tool_native **out) MUST_CHECK;
/* NULL is fine. */
void tool_native_free(struct tool_native *n);

/* NULL when there is none. */
const struct tool_native_action *tool_native_find(const struct tool_native *n,
						  const char *name);
/* For GET /v1/tools; with the parameters when full. NULL on ENOMEM. */
json_t *tool_native_describe(const struct tool_native *n, bool full);

struct tool_native_request {
	const struct tool_native_action *action;
	const json_t *params;
	const char *input; /* the member of params, as it was written, or */
	size_t input_len;  /* NULL */
	const char *idempotency_key; /* or NULL */
	bool dry_run;
};

/* Answers the API call, now or later; its state and on_end are ours. */
void tool_native_call(struct api_call *api,
		      const struct tool_native_request *request);
