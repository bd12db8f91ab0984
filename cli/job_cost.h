/* What a job has cost, and how its machine was, in words on stdout. */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* "1.5 MiB"; out is returned. */
const char *job_cost_bytes(int64_t bytes, char *out, size_t size);

/* Lines of NAME and value, in the columns of the other lines of a job; nothing
 * where nobody measured. */
void job_cost_print_usage(const json_t *job);
/* An empty line, then a table; nothing where nobody sampled. */
void job_cost_print_machine(const json_t *job);
/* The same lines of one snapshot, in the columns of the other lines; nothing
 * where there is none. */
void job_cost_print_snapshot(const json_t *snapshot);
