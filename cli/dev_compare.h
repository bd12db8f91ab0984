/* What differs between two JSON values, in lines for people. Pure. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "common/macro.h"

#define DEV_DIFFERENCES_MAX 100 /* that are told */

/* Appends a string for each difference to list: "output.n: expected 1, got 2".
 * Of the members of actual those that expected has are looked at, at the top;
 * below, all. 0 or -ENOMEM. */
int dev_compare(const json_t *expected, const json_t *actual,
		json_t *list) MUST_CHECK;
