/* A schema of parameters (JSON Schema), in words. */
#pragma once

#include <jansson.h>

/* A line on stdout for each member:
 * "    path: string, needed; The file, an absolute path." */
void schema_view_print(const json_t *schema);
