/* What a capability's program may have of the machine, in the runner's ASSIGN.
 * Pure. */
#pragma once

#include <jansson.h>

#include "common/macro.h"

struct assignment;
struct buf;

/*
 * Adds `shares` and `signals` to the message, and to its permissions what its
 * shares are; of a script's job nothing. sdk_dir: which a host's runner shows
 * beside them, or NULL. 0 or -ENOMEM.
 */
int assignment_shares_add(const struct assignment *a, json_t *message,
			  const char *sdk_dir) MUST_CHECK;
/* Appends the paths of its place as JSON: ["/srv/files"]. 0 or -ENOMEM. */
int assignment_shares_paths(const struct assignment *a,
			    struct buf *out) MUST_CHECK;
