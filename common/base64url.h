/*
 * base64url without padding (RFC 4648 section 5), as JOSE uses it. Strict:
 * one byte string has exactly one accepted encoding.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

#define BASE64URL_LEN(n) (((n)*4 + 2) / 3)
#define BASE64URL_DECODED_MAX(n) ((n) / 4 * 3 + 2)

/* Writes BASE64URL_LEN(len) characters and no NUL; returns how many. */
size_t base64url_encode(const void *data, size_t len, char *out);

/*
 * Writes at most BASE64URL_DECODED_MAX(len) bytes; returns how many, or
 * -EINVAL for padding, white space, foreign characters, an impossible length
 * or unused bits that are not zero.
 */
ssize_t base64url_decode(const char *s, size_t len, uint8_t *out) MUST_CHECK;
