/* Unpacks a payload below a directory and nowhere else. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "common/macro.h"

struct payload_extract_options {
	int dir_fd;       /* where to */
	mode_t file_mode; /* as 0600; execute bits are added for readers where
			   * the archive has them */
	uid_t uid;        /* owner of all; -1: who makes it (by setfsuid(),
			   * where there is no CAP_CHOWN) */
	gid_t gid;
};

/*
 * Reads all of the archive once before it writes anything. Directories are
 * 0700 or with the execute bits that file_mode's readers need. Never follows
 * a link, never replaces a file. 0, PAYLOAD_E_REFUSED, or negative errno; each
 * but 0 with a sentence in err; what was written by then stays.
 * Whatever the umask.
 */
int payload_extract(const void *data, size_t len,
		    const struct payload_extract_options *options, char *err,
		    size_t err_size) MUST_CHECK;
