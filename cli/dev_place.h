/* A private temporary directory: the backend's socket, and node_modules. */
#pragma once

#include <limits.h>

#include "common/macro.h"

#define DEV_PLACE_BYTES 96 /* short, so that a socket fits */

struct dev_place {
	char dir[DEV_PLACE_BYTES]; /* "" : none was made */
	char socket[DEV_PLACE_BYTES + 16];
	char modules[DEV_PLACE_BYTES + 16];
};

/* sdk_dir: NULL for none. 0 or negative errno. */
int dev_place_make(struct dev_place *p, const char *sdk_dir) MUST_CHECK;
void dev_place_remove(struct dev_place *p);
