/* Copies of programs that pods mount. */
#pragma once

#include "common/macro.h"

/*
 * Copies the program at `from` to RUN/dir/name (0755), replacing what is there
 * in one step, so that pods which mount RUN/dir see the old or the new one.
 * 0 or negative errno.
 */
int install_binary(const char *run_dir, const char *dir, const char *name,
		   const char *from) MUST_CHECK;

/* Copies the regular files below `from` to RUN/dir, over what is there. 0 or
 * negative errno. */
int install_tree(const char *run_dir, const char *dir,
		 const char *from) MUST_CHECK;
