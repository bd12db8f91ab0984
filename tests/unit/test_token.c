#include <errno.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base64.h"
#include "common/buf.h"
#include "common/token.h"

#define NOW INT64_C(1700000000)
#define HEADER "{\"alg\":\"ES256\",\"typ\":\"JWT\"}"
#define CLAIMS                                                       \
	"{\"iss\":\"cronium\",\"aud\":\"runtime\",\"sub\":\"ex_1\"," \
	"\"job\":\"job_1\",\"jti\":\"t_1\",\"iat\":1700000000,"      \
	"\"nbf\":1700000000,\"exp\":1700000600,\"scope\":[\"variables\"]"

static struct token_key *key;

static const struct token_expect expect = {
	.issuer = "cronium",
	.audience = "runtime",
	.subject = "ex_1",
};

static int setup(void **state)
{
	return token_key_generate(&key);
}

static int teardown(void **state)
{
	token_key_free(key);
	return 0;
}

static EVP_PKEY *pkey(const struct token_key *k)
{
	struct buf pem = { 0 };
	BIO *bio;
	EVP_PKEY *p;

	assert_int_equal(token_key_private_pem(k, &pem), 0);
	bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	p = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	assert_non_null(p);
	BIO_free(bio);
	buf_deinit_secret(&pem);
	return p;
}

static void append_b64(struct buf *b, const void *data, size_t len)
{
	assert_int_equal(buf_reserve(b, BASE64_URL_LEN(len)), 0);
	b->len += base64_url_encode(data, len, (char *)b->data + b->len);
}

/* DER signature over the bytes collected so far. */
static size_t sign_der(const struct buf *b, const EVP_MD *md, uint8_t *der,
		       size_t cap)
{
	EVP_PKEY *p = pkey(key);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	assert_int_equal(EVP_DigestSignInit(ctx, NULL, md, NULL, p), 1);
	assert_int_equal(EVP_DigestSign(ctx, der, &cap, b->data, b->len), 1);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(p);
	return cap;
}

/* A token with any header and payload, correctly signed. */
static void forge_bytes(struct buf *b, const char *header, const void *payload,
			size_t len)
{
	uint8_t der[80], raw[64];
	const uint8_t *p = der;
	ECDSA_SIG *sig;
	size_t n;

	append_b64(b, header, strlen(header));
	assert_int_equal(buf_append(b, ".", 1), 0);
	append_b64(b, payload, len);
	n = sign_der(b, EVP_sha256(), der, sizeof(der));
	sig = d2i_ECDSA_SIG(NULL, &p, (long)n);
	BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, 32);
	BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + 32, 32);
	ECDSA_SIG_free(sig);
	assert_int_equal(buf_append(b, ".", 1), 0);
	append_b64(b, raw, sizeof(raw));
}

static void forge(struct buf *b, const char *header, const char *payload)
{
	forge_bytes(b, header, payload, strlen(payload));
}

static int verify_at(const void *jwt, size_t len, int64_t now)
{
	struct token_claims c;
	int r = token_verify(key, jwt, len, &expect, now, &c);

	if (r == 0)
		token_claims_deinit(&c);
	return r;
}

static int verify(const struct buf *b)
{
	return verify_at(b->data, b->len, NOW);
}

static int verify_forged(const char *header, const char *payload)
{
	struct buf b = { 0 };
	int r;

	forge(&b, header, payload);
	r = verify(&b);
	buf_deinit(&b);
	return r;
}

static void mint(struct buf *out)
{
	static char *patterns[] = { (char *)"app.*", (char *)"exact" };
	const struct token_claims c = {
		.issuer = (char *)"cronium",
		.audience = (char *)"runtime",
		.subject = (char *)"ex_1",
		.job = (char *)"job_1",
		.id = (char *)"t_1",
		.issued_s = NOW,
		.not_before_s = NOW,
		.expires_s = NOW + 600,
		.scopes = TOKEN_SCOPE_INPUT | TOKEN_SCOPE_VARIABLES,
		.vars_read = { patterns, 2 },
		.vars_write = { patterns, 1 },
	};

	assert_int_equal(token_mint(key, &c, out), 0);
}

static void test_minted_is_verified(void **state)
{
	struct token_claims c;
	struct buf jwt = { 0 };

	mint(&jwt);
	assert_int_equal(token_verify(key, (char *)jwt.data, jwt.len, &expect,
				      NOW, &c),
			 0);
	assert_string_equal(c.issuer, "cronium");
	assert_string_equal(c.audience, "runtime");
	assert_string_equal(c.subject, "ex_1");
	assert_string_equal(c.job, "job_1");
	assert_string_equal(c.id, "t_1");
	assert_int_equal(c.issued_s, NOW);
	assert_int_equal(c.expires_s, NOW + 600);
	assert_int_equal(c.scopes, TOKEN_SCOPE_INPUT | TOKEN_SCOPE_VARIABLES);
	assert_int_equal(c.vars_read.n, 2);
	assert_false(c.read_only);
	assert_true(token_may_read(&c, "app.x"));
	assert_true(token_may_read(&c, "exact"));
	assert_false(token_may_read(&c, "exactly"));
	assert_false(token_may_read(&c, "ap"));
	assert_true(token_may_write(&c, "app."));
	assert_false(token_may_write(&c, "exact"));
	c.read_only = true;
	assert_false(token_may_write(&c, "app."));
	token_claims_deinit(&c);
	buf_deinit(&jwt);
}

static void test_every_byte_matters(void **state)
{
	struct buf jwt = { 0 };

	mint(&jwt);
	assert_int_equal(verify(&jwt), 0);
	for (size_t i = 0; i < jwt.len; i++) {
		jwt.data[i] ^= 1;
		assert_int_not_equal(verify(&jwt), 0);
		jwt.data[i] ^= 1;
	}
	for (size_t n = 0; n < jwt.len; n++)
		assert_int_not_equal(verify_at(jwt.data, n, NOW), 0);
	buf_deinit(&jwt);
}

static void test_another_key(void **state)
{
	struct token_key *other;
	struct token_claims c;
	struct buf jwt = { 0 };

	mint(&jwt);
	assert_int_equal(token_key_generate(&other), 0);
	assert_int_equal(token_verify(other, (char *)jwt.data, jwt.len, &expect,
				      NOW, &c),
			 TOKEN_E_SIGNATURE);
	token_key_free(other);
	buf_deinit(&jwt);
}

static void test_headers(void **state)
{
	static const struct {
		const char *header;
		int outcome;
	} cases[] = {
		{ HEADER, 0 },
		{ "{\"alg\":\"ES256\"}", 0 },
		{ "{\"typ\":\"jwt\",\"alg\":\"ES256\"}", 0 },
		{ "{\"alg\":\"ES256\",\"kid\":\"../../x\"}", 0 },
		{ "{\"alg\":\"ES256\",\"jku\":\"http://x/\",\"x5u\":\"y\"}",
		  0 },
		{ "{\"alg\":\"ES256\",\"jwk\":{\"kty\":\"EC\"}}", 0 },
		{ "{\"alg\":\"none\"}", TOKEN_E_ALGORITHM },
		{ "{\"alg\":\"None\"}", TOKEN_E_ALGORITHM },
		{ "{\"alg\":\"es256\"}", TOKEN_E_ALGORITHM },
		{ "{\"alg\":\"HS256\"}", TOKEN_E_ALGORITHM },
		{ "{\"alg\":\"RS256\"}", TOKEN_E_ALGORITHM },
		{ "{\"alg\":\"ES384\"}", TOKEN_E_ALGORITHM },
		{ "{\"alg\":\"ES256K\"}", TOKEN_E_ALGORITHM },
		{ "{\"alg\":[\"ES256\"]}", TOKEN_E_ALGORITHM },
		{ "{\"alg\":null}", TOKEN_E_ALGORITHM },
		{ "{}", TOKEN_E_ALGORITHM },
		{ "{\"ALG\":\"ES256\"}", TOKEN_E_ALGORITHM },
		{ "{\"alg\":\"ES256\\u0000\"}", TOKEN_E_MALFORMED },
		{ "{\"alg\":\"ES256\",\"crit\":[]}", TOKEN_E_CRITICAL },
		{ "{\"alg\":\"ES256\",\"crit\":[\"exp\"]}", TOKEN_E_CRITICAL },
		{ "{\"alg\":\"ES256\",\"crit\":null}", TOKEN_E_CRITICAL },
		{ "{\"alg\":\"ES256\",\"b64\":false}", TOKEN_E_CRITICAL },
		{ "{\"alg\":\"ES256\",\"zip\":\"DEF\"}", TOKEN_E_CRITICAL },
		{ "{\"alg\":\"ES256\",\"typ\":\"JWE\"}", TOKEN_E_MALFORMED },
		{ "{\"alg\":\"ES256\",\"typ\":7}", TOKEN_E_MALFORMED },
		{ "{\"alg\":\"none\",\"alg\":\"ES256\"}", TOKEN_E_MALFORMED },
		{ "[\"ES256\"]", TOKEN_E_MALFORMED },
		{ "\"ES256\"", TOKEN_E_MALFORMED },
		{ "{\"alg\":\"ES256\"} x", TOKEN_E_MALFORMED },
		{ "", TOKEN_E_MALFORMED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int r = verify_forged(cases[i].header, CLAIMS "}");

		if (r != cases[i].outcome)
			fail_msg("%s gives %d", cases[i].header, r);
	}
}

#define TIMES(iat, nbf, exp)                                             \
	"{\"iss\":\"cronium\",\"aud\":\"runtime\",\"sub\":\"ex_1\","     \
	"\"job\":\"job_1\",\"jti\":\"t_1\",\"iat\":" iat ",\"nbf\":" nbf \
	",\"exp\":" exp ",\"scope\":[\"variables\"]}"
#define NAMES(iss, aud, sub)                                     \
	"{\"iss\":" iss ",\"aud\":" aud ",\"sub\":" sub          \
	",\"job\":\"job_1\",\"jti\":\"t_1\",\"iat\":1700000000," \
	"\"nbf\":1700000000,\"exp\":1700000600,\"scope\":[]}"

static void test_claims(void **state)
{
	static const struct {
		const char *payload;
		int outcome;
	} cases[] = {
		{ CLAIMS "}", 0 },
		{ CLAIMS ",\"other\":{\"deep\":[1]}}", 0 },
		{ CLAIMS ",\"ro\":true,\"vars_read\":[]}", 0 },
		{ CLAIMS ",\"ro\":1}", TOKEN_E_CLAIMS },
		{ CLAIMS ",\"ro\":\"false\"}", TOKEN_E_CLAIMS },
		{ CLAIMS ",\"vars_read\":\"*\"}", TOKEN_E_CLAIMS },
		{ CLAIMS ",\"vars_write\":[1]}", TOKEN_E_CLAIMS },
		{ CLAIMS ",\"vars_write\":{\"0\":\"*\"}}", TOKEN_E_CLAIMS },
		{ CLAIMS ",\"sub\":\"ex_1\"}", TOKEN_E_MALFORMED },
		{ CLAIMS, TOKEN_E_MALFORMED },
		{ "[]", TOKEN_E_MALFORMED },
		{ "null", TOKEN_E_MALFORMED },
		{ "", TOKEN_E_MALFORMED },
		{ "{}", TOKEN_E_CLAIMS },
		{ NAMES("\"evil\"", "\"runtime\"", "\"ex_1\""),
		  TOKEN_E_ISSUER },
		{ NAMES("\"cronium\"", "\"backend\"", "\"ex_1\""),
		  TOKEN_E_AUDIENCE },
		{ NAMES("\"cronium\"", "\"runtime\"", "\"ex_2\""),
		  TOKEN_E_SUBJECT },
		{ NAMES("\"cronium\"", "[\"runtime\"]", "\"ex_1\""),
		  TOKEN_E_CLAIMS },
		{ NAMES("null", "\"runtime\"", "\"ex_1\""), TOKEN_E_CLAIMS },
		{ NAMES("\"cronium\"", "\"runtime\"", "1"), TOKEN_E_CLAIMS },
		{ NAMES("\"cronium\"", "\"runtime\"", "\"\""), TOKEN_E_CLAIMS },
		{ TIMES("\"1700000000\"", "1700000000", "1700000600"),
		  TOKEN_E_CLAIMS },
		{ TIMES("1700000000", "1700000000", "1700000600.0"),
		  TOKEN_E_CLAIMS },
		{ TIMES("1700000000", "1700000000", "1e12"), TOKEN_E_CLAIMS },
		{ TIMES("1700000000", "1700000000", "9223372036854775807"),
		  TOKEN_E_CLAIMS },
		{ TIMES("1700000000", "1700000000", "99999999999999999999"),
		  TOKEN_E_MALFORMED },
		{ TIMES("-1", "1700000000", "1700000600"), TOKEN_E_CLAIMS },
		{ TIMES("1700000000", "1700000000", "1700000000"),
		  TOKEN_E_CLAIMS },
		{ TIMES("true", "1700000000", "1700000600"), TOKEN_E_CLAIMS },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int r = verify_forged(HEADER, cases[i].payload);

		if (r != cases[i].outcome)
			fail_msg("%s gives %d", cases[i].payload, r);
	}
}

static void test_required_claims(void **state)
{
	static const char *const members[] = {
		"\"iss\":\"cronium\"", "\"aud\":\"runtime\"",
		"\"sub\":\"ex_1\"",    "\"job\":\"job_1\"",
		"\"jti\":\"t_1\"",     "\"iat\":1700000000",
		"\"nbf\":1700000000",  "\"exp\":1700000600",
		"\"scope\":[]",
	};

	for (size_t skip = 0; skip <= ARRAY_SIZE(members); skip++) {
		struct buf payload = { 0 };
		const char *separator = "{";

		for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
			if (i == skip)
				continue;
			assert_int_equal(buf_printf(&payload, "%s%s", separator,
						    members[i]),
					 0);
			separator = ",";
		}
		assert_int_equal(buf_append(&payload, "}", 1), 0);
		assert_int_equal(verify_forged(HEADER, buf_cstr(&payload)),
				 skip < ARRAY_SIZE(members) ? TOKEN_E_CLAIMS
							    : 0);
		buf_deinit(&payload);
	}
}

static void test_times(void **state)
{
	static const struct {
		int64_t now;
		int outcome;
	} cases[] = {
		{ NOW - TOKEN_LEEWAY_S - 1, TOKEN_E_NOT_YET },
		{ NOW - TOKEN_LEEWAY_S, 0 },
		{ NOW + 599 + TOKEN_LEEWAY_S, 0 },
		{ NOW + 600 + TOKEN_LEEWAY_S, TOKEN_E_EXPIRED },
		{ INT64_C(4000000000), TOKEN_E_EXPIRED },
		{ 0, TOKEN_E_NOT_YET },
	};
	struct buf jwt = { 0 };

	mint(&jwt);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(verify_at(jwt.data, jwt.len, cases[i].now),
				 cases[i].outcome);
	buf_deinit(&jwt);
	/* Issued later than it becomes valid: the later one counts. */
	assert_int_equal(verify_forged(HEADER, TIMES("1700000100", "1700000000",
						     "1700000600")),
			 TOKEN_E_NOT_YET);
}

static char *last_dot(const struct buf *b)
{
	return memrchr(b->data, '.', b->len);
}

/* Replaces the signature by the given bytes. */
static int verify_with_signature(const void *sig, size_t len)
{
	struct buf b = { 0 };
	int r;

	mint(&b);
	b.len = (size_t)(last_dot(&b) - (char *)b.data) + 1;
	append_b64(&b, sig, len);
	r = verify(&b);
	buf_deinit(&b);
	return r;
}

static void test_signatures(void **state)
{
	static const uint8_t order[32] = {
		0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84,
		0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
	};
	uint8_t raw[96] = { 0 };

	/* Zeros ("psychic signatures"), the group's order, and beyond. */
	assert_int_equal(verify_with_signature(raw, 64), TOKEN_E_SIGNATURE);
	raw[31] = 1;
	assert_int_equal(verify_with_signature(raw, 64), TOKEN_E_SIGNATURE);
	raw[63] = 1;
	assert_int_equal(verify_with_signature(raw, 64), TOKEN_E_SIGNATURE);
	memcpy(raw, order, 32);
	memcpy(raw + 32, order, 32);
	assert_int_equal(verify_with_signature(raw, 64), TOKEN_E_SIGNATURE);
	memset(raw, 0xff, sizeof(raw));
	assert_int_equal(verify_with_signature(raw, 64), TOKEN_E_SIGNATURE);
	/* The wrong size. */
	assert_int_equal(verify_with_signature(raw, 0), TOKEN_E_SIGNATURE);
	assert_int_equal(verify_with_signature(raw, 63), TOKEN_E_SIGNATURE);
	assert_int_equal(verify_with_signature(raw, 65), TOKEN_E_SIGNATURE);
	assert_int_equal(verify_with_signature(raw, 96), TOKEN_E_SIGNATURE);
}

static void test_der_signature(void **state)
{
	struct buf b = { 0 };
	uint8_t der[80];
	size_t n;

	mint(&b);
	b.len = (size_t)(last_dot(&b) - (char *)b.data);
	n = sign_der(&b, EVP_sha256(), der, sizeof(der));
	assert_int_equal(buf_append(&b, ".", 1), 0);
	append_b64(&b, der, n);
	assert_int_equal(verify(&b), TOKEN_E_SIGNATURE);
	buf_deinit(&b);
}

/* The public key, which everybody knows, taken as an HMAC secret. */
static void test_algorithm_confusion(void **state)
{
	static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
	struct buf b = { 0 }, pem = { 0 };
	uint8_t mac[32];
	unsigned int n = sizeof(mac);

	assert_int_equal(token_key_public_pem(key, &pem), 0);
	append_b64(&b, header, sizeof(header) - 1);
	assert_int_equal(buf_append(&b, ".", 1), 0);
	append_b64(&b, CLAIMS "}", sizeof(CLAIMS));
	HMAC(EVP_sha256(), pem.data, (int)pem.len, b.data, b.len, mac, &n);
	assert_int_equal(buf_append(&b, ".", 1), 0);
	append_b64(&b, mac, n);
	assert_int_equal(verify(&b), TOKEN_E_ALGORITHM);
	buf_deinit(&b);
	buf_deinit(&pem);
}

static void test_shapes(void **state)
{
	struct buf jwt = { 0 }, b = { 0 };
	const char *payload;

	mint(&jwt);
	/* No signature at all, with and without its dot. */
	payload = last_dot(&jwt);
	assert_int_equal(verify_at(jwt.data,
				   (size_t)(payload - (char *)jwt.data), NOW),
			 TOKEN_E_MALFORMED);
	assert_int_equal(verify_at(jwt.data,
				   (size_t)(payload - (char *)jwt.data) + 1,
				   NOW),
			 TOKEN_E_SIGNATURE);
	/* Junk behind and in front. */
	for (const char *junk = "= .\n\t,aA\"\xff"; *junk; junk++) {
		buf_clear(&b);
		assert_int_equal(buf_append(&b, jwt.data, jwt.len), 0);
		assert_int_equal(buf_append(&b, junk, 1), 0);
		assert_int_not_equal(verify(&b), 0);
		buf_clear(&b);
		assert_int_equal(buf_append(&b, junk, 1), 0);
		assert_int_equal(buf_append(&b, jwt.data, jwt.len), 0);
		assert_int_not_equal(verify(&b), 0);
	}
	/* A NUL byte and what follows it. */
	buf_clear(&b);
	assert_int_equal(buf_append(&b, jwt.data, jwt.len), 0);
	assert_int_equal(buf_append(&b, "\0x", 2), 0);
	assert_int_not_equal(verify(&b), 0);
	assert_int_equal(verify_at("", 0, NOW), TOKEN_E_MALFORMED);
	assert_int_equal(verify_at("..", 2, NOW), TOKEN_E_MALFORMED);
	assert_int_equal(verify_at("a.b.c.d.e", 9, NOW), TOKEN_E_MALFORMED);
	buf_deinit(&b);
	buf_deinit(&jwt);
}

/* The unused low bits of the last character make up other spellings. */
static void test_one_spelling_only(void **state)
{
	struct buf jwt = { 0 };
	uint8_t last;
	int accepted = 0;

	mint(&jwt);
	last = jwt.data[jwt.len - 1];
	for (int c = 1; c < 256; c++) {
		jwt.data[jwt.len - 1] = (uint8_t)c;
		accepted += verify(&jwt) == 0;
	}
	assert_int_equal(accepted, 1);
	jwt.data[jwt.len - 1] = last;
	assert_int_equal(verify(&jwt), 0);
	buf_deinit(&jwt);
}

static void test_swapped_payload(void **state)
{
	struct buf a = { 0 }, b = { 0 }, c = { 0 };
	char *dot;

	forge(&a, HEADER, CLAIMS "}");
	forge(&b, HEADER, CLAIMS ",\"ro\":false}");
	dot = last_dot(&a);
	assert_int_equal(buf_append(&c, a.data, (size_t)(dot - (char *)a.data)),
			 0);
	dot = last_dot(&b);
	assert_int_equal(
		buf_append(&c, dot, b.len - (size_t)(dot - (char *)b.data)), 0);
	assert_int_equal(verify(&a), 0);
	assert_int_equal(verify(&b), 0);
	assert_int_equal(verify(&c), TOKEN_E_SIGNATURE);
	buf_deinit(&a);
	buf_deinit(&b);
	buf_deinit(&c);
}

static void test_huge_and_nested(void **state)
{
	struct buf b = { 0 };
	char *deep = malloc(5001);

	memset(deep, '[', 5000);
	deep[5000] = '\0';
	forge(&b, HEADER, deep);
	assert_int_equal(verify(&b), TOKEN_E_MALFORMED);
	buf_clear(&b);
	memset(deep, 'a', 5000);
	forge(&b, deep, CLAIMS "}");
	assert_int_equal(verify(&b), TOKEN_E_MALFORMED);
	buf_clear(&b);
	assert_int_equal(buf_reserve(&b, 10 << 20), 0);
	memset(b.data, 'a', 10 << 20);
	b.len = 10 << 20;
	b.data[100] = b.data[200] = '.';
	assert_int_equal(verify(&b), TOKEN_E_MALFORMED);
	buf_deinit(&b);
	/* Bytes that are no UTF-8, and a NUL inside. */
	forge_bytes(&b, HEADER, "{\"iss\":\"\xff\"}", 11);
	assert_int_equal(verify(&b), TOKEN_E_MALFORMED);
	buf_clear(&b);
	forge_bytes(&b, HEADER, "{}\0{}", 5);
	assert_int_equal(verify(&b), TOKEN_E_MALFORMED);
	buf_deinit(&b);
	free(deep);
}

static void test_patterns(void **state)
{
	static const struct {
		const char *pattern, *key;
		bool matches;
	} cases[] = {
		{ "*", "", true },
		{ "*", "anything", true },
		{ "", "", true },
		{ "", "a", false },
		{ "a*c", "abc", true },
		{ "a*c", "ac", true },
		{ "a*c", "acb", false },
		{ "a*b*c", "a-b-b-c", true },
		{ "*.key", "x.key", true },
		{ "*.key", "x.keys", false },
		{ "a?c", "abc", false },
		{ "[a]", "a", false },
		{ "**", "x", true },
		{ "a.b", "axb", false },
		{ "*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *item = (char *)(uintptr_t)cases[i].pattern;
		const struct token_claims c = { .vars_read = { &item, 1 } };

		if (token_may_read(&c, cases[i].key) != cases[i].matches)
			fail_msg("%s against %s", item, cases[i].key);
	}
}

static void test_keys(void **state)
{
	static const char *const bad[] = {
		"",
		"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		/* Ed25519. */
		"-----BEGIN PUBLIC KEY-----\n"
		"MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
		"-----END PUBLIC KEY-----\n",
	};
	struct token_key *public, *private, *none;
	struct buf pem = { 0 }, jwt = { 0 };
	struct token_claims c = { 0 };

	assert_int_equal(token_key_private_pem(key, &pem), 0);
	assert_int_equal(token_key_parse((char *)pem.data, pem.len, &private),
			 0);
	buf_clear(&pem);
	assert_int_equal(token_key_public_pem(private, &pem), 0);
	assert_int_equal(token_key_parse((char *)pem.data, pem.len, &public),
			 0);
	mint(&jwt);
	assert_int_equal(token_verify(public, (char *)jwt.data, jwt.len,
				      &expect, NOW, &c),
			 0);
	/* A public key signs nothing and has no private half to show. */
	assert_int_equal(token_mint(public, &c, &jwt), -EINVAL);
	assert_int_equal(token_key_private_pem(public, &pem), -EINVAL);
	token_claims_deinit(&c);
	/* A point that is not on the curve. */
	pem.data[pem.len - 60] ^= 3;
	assert_int_equal(token_key_parse((char *)pem.data, pem.len, &none),
			 -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(token_key_parse(bad[i], strlen(bad[i]), &none),
				 -EINVAL);
	token_key_free(public);
	token_key_free(private);
	token_key_free(NULL);
	buf_deinit(&jwt);
	buf_deinit_secret(&pem);
}

static void test_other_curves(void **state)
{
	static const char *const curves[] = { "P-384", "secp256k1" };
	struct token_key *none;

	for (size_t i = 0; i < ARRAY_SIZE(curves); i++) {
		EVP_PKEY *p = EVP_EC_gen(curves[i]);
		BIO *private = BIO_new(BIO_s_mem());
		BIO *public = BIO_new(BIO_s_mem());
		char *pem;
		long n;

		PEM_write_bio_PrivateKey(private, p, NULL, NULL, 0, NULL, NULL);
		PEM_write_bio_PUBKEY(public, p);
		n = BIO_get_mem_data(private, &pem);
		assert_int_equal(token_key_parse(pem, (size_t)n, &none),
				 -EINVAL);
		n = BIO_get_mem_data(public, &pem);
		assert_int_equal(token_key_parse(pem, (size_t)n, &none),
				 -EINVAL);
		BIO_free(private);
		BIO_free(public);
		EVP_PKEY_free(p);
	}
}

static void test_digest(void **state)
{
	static const uint8_t abc[] = { 0xba, 0x78, 0x16, 0xbf };
	uint8_t d[TOKEN_DIGEST_BYTES];

	assert_int_equal(token_digest("abc", 3, d), 0);
	assert_memory_equal(d, abc, sizeof(abc));
}

static void test_base64url(void **state)
{
	static const char *const bad[] = { "A",     "AA==", "AAA=", "AB",
					   "AAB",   "AA+A", "AA/A", "AA A",
					   "AAA\n", "AAAAA" };
	uint8_t in[64], out[128];
	char text[128];

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 37 + 11);
	for (size_t n = 0; n < sizeof(in); n++) {
		size_t len = base64_url_encode(in, n, text);

		assert_int_equal(len, BASE64_URL_LEN(n));
		assert_int_equal(base64_url_decode(text, len, out), n);
		assert_memory_equal(in, out, n);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(base64_url_decode(bad[i], strlen(bad[i]), out),
				 -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_minted_is_verified),
		cmocka_unit_test(test_every_byte_matters),
		cmocka_unit_test(test_another_key),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_required_claims),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_der_signature),
		cmocka_unit_test(test_algorithm_confusion),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_one_spelling_only),
		cmocka_unit_test(test_swapped_payload),
		cmocka_unit_test(test_huge_and_nested),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_other_curves),
		cmocka_unit_test(test_digest),
		cmocka_unit_test(test_base64url),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
