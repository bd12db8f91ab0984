/* SHA-256, by which archives are named, compared and signed. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define PAYLOAD_DIGEST_BYTES 32
#define PAYLOAD_DIGEST_CHARS (2 * PAYLOAD_DIGEST_BYTES)

void payload_digest(const void *data, size_t len,
		    uint8_t out[PAYLOAD_DIGEST_BYTES]);
/* The same in hexadecimal, lower case, NUL-terminated. */
void payload_digest_hex(const void *data, size_t len,
			char out[PAYLOAD_DIGEST_CHARS + 1]);
