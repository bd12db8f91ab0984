/*
 * What sandboxes see as /opt/cronium: RUN/sandbox with the runner and the few
 * files of /etc that are made up instead of shown.
 */
#pragma once

#include <stddef.h>

#include "common/macro.h"

#define SANDBOX_FILES_DIR "sandbox" /* in RUN */
#define SANDBOX_FILES_RUNNER "cronium-runner"

/* Names below etc/, NULL-terminated. */
extern const char *const sandbox_files_etc[];

/* Writes them all anew. 0, or negative errno with a sentence in err. */
int sandbox_files_install(const char *run_dir, const char *runner_path,
			  char *err, size_t err_size) MUST_CHECK;
