/*
 * base64 with its padding (RFC 4648 section 4). Strict: one byte string has
 * exactly one accepted encoding.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/macro.h"

#define BASE64_DECODED_MAX(n) ((n) / 4 * 3)

/*
 * Writes at most BASE64_DECODED_MAX(len) bytes; returns how many, or -EINVAL
 * for white space, foreign characters, padding that is missing or too much, or
 * unused bits that are not zero.
 */
ssize_t base64_decode(const char *s, size_t len, uint8_t *out) MUST_CHECK;
