/*
 * A directory of this runner's own where nobody else makes one: 0700, below
 * $XDG_RUNTIME_DIR, $TMPDIR or /tmp. It is locked (flock on the directory) as
 * long as a process has it open, so that one which is not is nobody's any more:
 * its runner was killed, and the next one removes it.
 *
 *   BASE/cronium-run-XXXXXX/work    the script's; beside it what is ours
 */
#pragma once

#include <limits.h>

#include "common/macro.h"

#define WORK_DIR_PREFIX "cronium-run-"

struct work_dir {
	char path[PATH_MAX]; /* "": there is none */
	char work[PATH_MAX]; /* path/work */
	int lock_fd;         /* held by every process that inherits it */
};

/* Removes what is nobody's, then makes one. 0, or negative errno with a
 * sentence in err. */
int work_dir_make(struct work_dir *w, char *err, size_t err_size) MUST_CHECK;
/* Removes it with all that is in it, whatever modes that has. Two may do so
 * at the same time. 0 or negative errno. */
int work_dir_remove(struct work_dir *w);
/* Lets go of the lock and leaves it where it is. */
void work_dir_deinit(struct work_dir *w);
