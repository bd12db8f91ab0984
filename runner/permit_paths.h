/*
 * The files that a script may read, write and execute, as a Landlock ruleset.
 * A right that is granted for everything is not handled at all; where each is,
 * there is no ruleset. Whatever the running kernel knows of Landlock is used.
 */
#pragma once

#include "common/macro.h"

struct gate_programs;
struct permit;
struct permit_place;

/* For the calling process and all that come from it. programs gets those of
 * Bash's SDK that are there, where Bash may start no other. 0 or negative
 * errno. */
int permit_paths_apply(const struct permit *p, const struct permit_place *place,
		       struct gate_programs *programs) MUST_CHECK;
