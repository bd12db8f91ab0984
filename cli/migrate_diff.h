/* What changes in a file, as `diff -u` prints it on stdout: diff(1) is on every
 * Debian, and no small library of it. */
#pragma once

#include "common/macro.h"

struct buf;

/* file as it is, and the text that it is to have. 0 or negative errno. */
int migrate_diff_print(const char *file, const struct buf *text) MUST_CHECK;
