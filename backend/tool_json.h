/*
 * JSON as schemas and templates see it: numbers are compared by their value,
 * and a real number is written as short as it can be read back (0.1, where
 * jansson writes 0.10000000000000001). Pure.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/buf.h"
#include "common/macro.h"

#define TOOL_JSON_DEPTH_MAX 128 /* a template around parameters */

/* 1 and 1.0 are equal; what is nested deeper than the limit never is. */
bool tool_json_equal(const json_t *a, const json_t *b);
/* <0, 0, >0; exact, also between integers and reals. */
int tool_json_compare_numbers(const json_t *a, const json_t *b);

/* Compact. 0, -ENOMEM, or -EINVAL for what is nested too deep. */
int tool_json_append(struct buf *out, const json_t *v) MUST_CHECK;
