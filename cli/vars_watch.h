/*
 * Prints each change of a variable as a line of JSON. A stream that breaks is
 * taken up at the version that was seen last.
 */
#pragma once

#include <stdint.h>

struct api;

/* from: print what came after this version; negative: how it is now, and what
 * comes after. An enum cli_exit. */
int vars_watch(struct api *api, const char *key, int64_t from);
