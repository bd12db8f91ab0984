/*
 * The run directory and its sockets:
 *
 *   RUN/                       0700
 *     api.sock                 0600
 *     runtime/                 0755: what pods see
 *       backend.sock           0666
 */
#pragma once

#include <stddef.h>

#include "common/macro.h"

#define RUN_DIR_API_SOCKET "api.sock"
#define RUN_DIR_RUNTIME "runtime"
#define RUN_DIR_RUNTIME_SOCKET "runtime/backend.sock"

/* Makes what is missing. 0, or negative errno with a sentence in err. */
int run_dir_make(const char *dir, char *err, size_t err_size) MUST_CHECK;
