/*
 * What is signed is the program alone, not what the other side says of it. So
 * that whoever speaks to a runner cannot have anything else run by it, the
 * command line is an interpreter, options that load nothing, and the script;
 * and no variable loads anything, either. Pure.
 */
#pragma once

#include "runner/assignment.h"

/* NULL where it is so; otherwise a sentence. */
const char *command_line_refused(const struct assignment *a);
