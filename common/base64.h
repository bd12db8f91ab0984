/*
 * base64 (RFC 4648): with its padding (section 4), and base64url without it
 * (section 5), as JOSE uses it. Strict: one byte string has exactly one
 * accepted encoding. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/macro.h"

#define BASE64_DECODED_MAX(n) ((n) / 4 * 3)
#define BASE64_URL_LEN(n) (((n)*4 + 2) / 3)
#define BASE64_URL_DECODED_MAX(n) ((n) / 4 * 3 + 2)

/*
 * Each writes at most as many bytes as its _DECODED_MAX(len) says; returns how
 * many, or -EINVAL for white space, foreign characters, an impossible length,
 * padding that is missing or should not be there, or unused bits that are not
 * zero.
 */
ssize_t base64_decode(const char *s, size_t len, uint8_t *out) MUST_CHECK;
ssize_t base64_url_decode(const char *s, size_t len, uint8_t *out) MUST_CHECK;

/* Writes BASE64_URL_LEN(len) characters and no NUL; returns how many. */
size_t base64_url_encode(const void *data, size_t len, char *out);
