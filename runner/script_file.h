/* Puts the script into the work directory. */
#pragma once

#include "runner/assignment.h"

/*
 * Creates work_dir/script_name (never replaces, never follows a link), owned
 * by the script's user. 0, or negative errno with a sentence in err.
 */
int script_file_write(const struct assignment *a, const void *data, size_t len,
		      char *err, size_t err_size) MUST_CHECK;
