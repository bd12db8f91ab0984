/*
 * Where the SDKs lie on this machine, with python/, node/ and bash/ in it:
 * PREFIX/share/cronium/sdk beside PREFIX/bin, or sdk/ in the source tree
 * around build/bin.
 */
#pragma once

#include <limits.h>

#include "common/macro.h"

/* An absolute path; option: a directory that was asked for, or NULL. 0, or
 * negative errno: that one, or any, is not there. */
int sdk_dir_find(const char *option, char out[PATH_MAX]) MUST_CHECK;
