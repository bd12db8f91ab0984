/* The commands that show what the server has: as JSON, or in words. */
#pragma once

#include <jansson.h>

struct api;
struct cli_globals;

/*
 * Shows the object at path. path NULL: memory ran out while it was made. doing:
 * "list the jobs", for an error message. Returns CLI_*.
 */
int show_get(struct api *api, const struct cli_globals *globals,
	     const char *path, const char *doing,
	     void (*print)(const json_t *o));
/* The same of a command that has nothing else to ask the server. */
int show_only(const struct cli_globals *globals, const char *path,
	      const char *doing, void (*print)(const json_t *o));
