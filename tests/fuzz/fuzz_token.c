/*
 * Tokens as an attacker writes them. The signature would stop nearly every
 * input at once, so that the first byte chooses: the bytes as they are, or
 * signed as header and payload of a token that reaches the claims.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base64.h"
#include "common/buf.h"
#include "common/token.h"
#include "common/token_claims.h"
#include "common/token_key.h"

#define NOW INT64_C(1700000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct token_expect expect = {
	.issuer = "cronium",
	.audience = "runtime",
};

static void verify(const struct token_key *k, const void *jwt, size_t len)
{
	struct token_claims c;
	uint8_t digest[TOKEN_DIGEST_BYTES];

	if (token_digest(jwt, len, digest) != 0)
		abort();
	if (token_verify(k, jwt, len, &expect, NOW, &c) != 0)
		return;
	token_may_read(&c, c.subject);
	token_may_write(&c, c.job);
	token_claims_deinit(&c);
}

/* Whatever is accepted as claims is accepted again as we write it. */
static void claims(const void *json, size_t len)
{
	_cleanup_(buf_deinit) struct buf again = { 0 };
	struct token_claims c, d = { 0 };

	if (token_claims_decode(json, len, &c) == 0 &&
	    (token_claims_encode(&c, &again) < 0 ||
	     token_claims_decode(again.data, again.len, &d) != 0 ||
	     c.scopes != d.scopes || c.expires_s != d.expires_s))
		abort();
	token_claims_deinit(&c);
	token_claims_deinit(&d);
}

static void signed_token(const struct token_key *k, const uint8_t *data,
			 size_t size)
{
	const uint8_t *cut = memchr(data, '\n', size);
	size_t header = cut ? (size_t)(cut - data) : 0;
	size_t payload = cut ? size - header - 1 : size;
	_cleanup_(buf_deinit) struct buf jwt = { 0 };
	uint8_t sig[TOKEN_SIGNATURE_BYTES];

	if (buf_reserve(&jwt, BASE64_URL_LEN(size) + 128) < 0)
		return;
	jwt.len += base64_url_encode(data, header, (char *)jwt.data);
	jwt.data[jwt.len++] = '.';
	jwt.len += base64_url_encode(data + size - payload, payload,
				     (char *)jwt.data + jwt.len);
	if (token_key_sign(k, jwt.data, jwt.len, sig) < 0)
		abort();
	jwt.data[jwt.len++] = '.';
	jwt.len += base64_url_encode(sig, sizeof(sig),
				     (char *)jwt.data + jwt.len);
	verify(k, jwt.data, jwt.len);
	claims(data + size - payload, payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct token_key *k;

	if (!k && token_key_generate(&k) < 0)
		abort();
	if (!size)
		return 0;
	if (data[0] & 1)
		verify(k, data + 1, size - 1);
	else
		signed_token(k, data + 1, size - 1);
	return 0;
}
