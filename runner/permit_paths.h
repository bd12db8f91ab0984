/*
 * The files that a script may read, write and execute, as a Landlock ruleset.
 * A right that is granted for everything is not handled at all; where each is,
 * there is no ruleset. Whatever the running kernel knows of Landlock is used.
 */
#pragma once

#include "common/macro.h"

struct permit;
struct permit_place;

/* The programs that sdk/bash/cronium.sh starts. */
extern const char *const permit_bash_programs[];
#define PERMIT_BASH_PROGRAMS 2

/* For the calling process and all that come from it. 0 or negative errno. */
int permit_paths_apply(const struct permit *p,
		       const struct permit_place *place) MUST_CHECK;
