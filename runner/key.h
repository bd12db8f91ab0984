/* The key that programs must be signed with, as the command line gives it. */
#pragma once

#include <stddef.h>

#include "common/macro.h"
#include "payload/verify.h"

/* text: "base64:" and DER, or the path of a PEM file. 0, or negative errno
 * with a sentence in err. */
int key_load(struct payload_key *key, const char *text, char *err,
	     size_t err_size) MUST_CHECK;
