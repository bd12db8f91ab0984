/*
 * What sandboxes see as /opt/cronium: RUN/sandbox with the runner and the few
 * files of /etc that are made up or copied: a mount each would cost 0.1 ms.
 */
#pragma once

#include <stddef.h>

#include "common/macro.h"

#define SANDBOX_FILES_DIR "sandbox" /* in RUN */
#define SANDBOX_FILES_RUNNER "cronium-runner"

/* The i-th name in its etc/, which belongs into /etc; NULL after the last. */
const char *sandbox_files_etc_name(size_t i);

/* Writes them all anew. 0, or negative errno with a sentence in err. */
int sandbox_files_install(const char *run_dir, const char *runner_path,
			  char *err, size_t err_size) MUST_CHECK;
