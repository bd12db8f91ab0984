/* JSON values as people compare them: 1 is 1.0. Pure. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

bool dev_json_equal(const json_t *a, const json_t *b);
/* Whether whole has all that part has: members of objects may be more, at any
 * depth; everything else is equal. */
bool dev_json_includes(const json_t *whole, const json_t *part);
