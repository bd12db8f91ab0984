/* The paths of a payload: which ones there can be, and which ones there were.
 * Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"

#define PATH_SHOWN_MAX_BYTES 200 /* of a path in a message, with its NUL */

/* NULL, or what is wrong with it: "the path is absolute". */
const char *path_check(const char *path);

/* The path for a message: printable, its end left out where it is long. */
const char *path_show(const char *path, char out[PATH_SHOWN_MAX_BYTES]);

struct path_set {
	void *tree; /* tsearch(3): no input makes it slow */
	unsigned int n;
};

void path_set_deinit(struct path_set *set);
/*
 * Takes a good path and the directories that it is in. 0; PATH_E_REFUSED with
 * the reason in *why (it is there already, a file is where a directory should
 * be, there are too many); or -ENOMEM.
 */
enum {
	PATH_E_REFUSED = 1,
};
int path_set_add(struct path_set *set, const char *path, bool directory,
		 const char **why) MUST_CHECK;
