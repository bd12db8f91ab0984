/* Paths as text: nothing is looked up, so a link is what it is called. Pure. */
#pragma once

#include <stdbool.h>

/*
 * "/a//b/../c/." is "/a/c"; ".." of "/" is "/". out has room for the path's
 * bytes and 2. False where path is not absolute.
 */
bool path_normal(const char *path, char *out);

/* Whether ".." is one of its components. */
bool path_climbs(const char *path);

/* Whether path is dir, or lies below it; both in their normal form. */
bool path_covers(const char *dir, const char *path);
