/*
 * The executors of an orchestrator, as it names them: "docker,sandbox". Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define EXECUTOR_LIST_MAX_BYTES 64

/* Whether it has the name; "auto" is any but ssh. */
bool executor_list_has(const char *list, const char *name);
/* What is left of it without those of another list; cut off where it does not
 * fit. */
void executor_list_without(const char *list, const char *other, char *out,
			   size_t size);
