/*
 * The shares of a capability: a path that its arguments name is had only where
 * it leads to something below a share, links and all.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/macro.h"

/*
 * O_PATH of what path leads to, once that lies in the share that path is in;
 * *write: it may be written, too. -EXDEV: it leads out of its share, or is in
 * none. No link is followed once it was judged. Descriptor or negative errno.
 */
int permit_share_open(const json_t *shares, const char *path,
		      bool *write) MUST_CHECK;
