/*
 * The system calls that permissions need watched, as one seccomp filter beside
 * that of confine.h. execve and execveat are not refused here but asked for at
 * the gate, because the interpreter's own exec is still to come.
 */
#pragma once

#include "common/macro.h"

struct gate_programs;
struct permit;
struct permit_place;

/* For the calling process and all that come from it; the gate gets the
 * filter's listener. 0 or negative errno. */
int permit_calls_apply(const struct permit *p, const struct permit_place *place,
		       const struct gate_programs *programs) MUST_CHECK;
