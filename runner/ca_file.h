/*
 * The file that CRONIUM_CA_FILE names: the certificates that the SDKs trust. A
 * script may read it without a permission, because they do; so that nothing
 * else is read by that name, it has to be what it is said to be.
 */
#pragma once

#include "common/macro.h"

#define CA_FILE_MAX_BYTES (1024 * 1024)

/* An O_PATH descriptor of the file; -EINVAL where path is not absolute, or it
 * holds no certificate in PEM or holds a key, -EFBIG, or another negative
 * errno. */
int ca_file_open(const char *path) MUST_CHECK;
