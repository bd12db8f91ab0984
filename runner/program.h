/*
 * Puts the program into the work directory, once it is known to be the one
 * that was signed: a script as one file, a payload as all of its files.
 */
#pragma once

#include "runner/assignment.h"

struct payload_key;

/*
 * Verifies before a byte is written; key NULL refuses everything. Creates
 * below work_dir (never replaces, never follows a link), owned by the script's
 * user. 0, or -EACCES for what is not signed, or negative errno; each but 0
 * with a sentence in err.
 */
int program_put(const struct assignment *a, const struct payload_key *key,
		const void *data, size_t len, char *err,
		size_t err_size) MUST_CHECK;
