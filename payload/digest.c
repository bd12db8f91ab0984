#include "payload/digest.h"

#include <nettle/sha2.h>

#include "common/hex.h"

void payload_digest(const void *data, size_t len,
		    uint8_t out[PAYLOAD_DIGEST_BYTES])
{
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, len, data);
	sha256_digest(&ctx, PAYLOAD_DIGEST_BYTES, out);
}

void payload_digest_hex(const void *data, size_t len,
			char out[PAYLOAD_DIGEST_CHARS + 1])
{
	uint8_t digest[PAYLOAD_DIGEST_BYTES];

	payload_digest(data, len, digest);
	hex_encode(digest, sizeof(digest), out);
	out[PAYLOAD_DIGEST_CHARS] = '\0';
}
