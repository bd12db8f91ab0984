#include "common/token_key.h"

#include <errno.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <string.h>

#define P256_SCALAR_BYTES 32
#define P256_POINT_BYTES (1 + 2 * P256_SCALAR_BYTES)
/* SEQUENCE of two INTEGERs of at most 33 bytes. */
#define DER_SIGNATURE_MAX_BYTES (2 + 2 * (2 + P256_SCALAR_BYTES + 1))

struct token_key {
	EVP_PKEY *pkey;
	bool is_private;
};

DEFINE_CLEANUP(BIO *, BIO_free_all)
DEFINE_CLEANUP(EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
DEFINE_CLEANUP(ECDSA_SIG *, ECDSA_SIG_free)

/* What comes before the uncompressed point in every SubjectPublicKeyInfo of
 * a P-256 key (RFC 5480). */
static const uint8_t p256_spki_prefix[] = {
	0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
	0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
	0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
};

/* Takes pkey, also on error. */
static int key_new(struct token_key **out, EVP_PKEY *pkey, bool is_private)
{
	struct token_key *k = calloc(1, sizeof(*k));

	if (!k) {
		EVP_PKEY_free(pkey);
		return -ENOMEM;
	}
	k->pkey = pkey;
	k->is_private = is_private;
	*out = k;
	return 0;
}

void token_key_free(struct token_key *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->pkey);
	free(k);
}

int token_key_generate(struct token_key **out)
{
	EVP_PKEY *pkey = EVP_EC_gen("P-256");

	ERR_clear_error();
	return pkey ? key_new(out, pkey, true) : -ENOMEM;
}

static EVP_PKEY *parse_point(const uint8_t *point)
{
	_cleanup_(EVP_PKEY_CTX_freep)
		EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC",
							       NULL);
	char group[] = "prime256v1";
	uint8_t copy[P256_POINT_BYTES];
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
						 group, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, copy,
						  sizeof(copy)),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY *pkey = NULL;

	memcpy(copy, point, sizeof(copy));
	if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		return NULL;
	return pkey;
}

/* Without OpenSSL's decoder chain, which costs 0.3 ms and 200 KB: there is one
 * SubjectPublicKeyInfo for a P-256 point. */
static EVP_PKEY *parse_public(BIO *bio)
{
	char *name = NULL, *header = NULL;
	unsigned char *der = NULL;
	EVP_PKEY *pkey = NULL;
	long len = 0;

	if (PEM_read_bio(bio, &name, &header, &der, &len) == 1 &&
	    !strcmp(name, PEM_STRING_PUBLIC) &&
	    len == sizeof(p256_spki_prefix) + P256_POINT_BYTES &&
	    !memcmp(der, p256_spki_prefix, sizeof(p256_spki_prefix)))
		pkey = parse_point(der + sizeof(p256_spki_prefix));
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(der);
	return pkey;
}

static bool is_p256(const EVP_PKEY *pkey)
{
	char group[32];
	size_t n;

	return EVP_PKEY_is_a(pkey, "EC") &&
	       EVP_PKEY_get_group_name(pkey, group, sizeof(group), &n) == 1 &&
	       !strcmp(group, "prime256v1");
}

static int no_passphrase(char *out, int size, int writing, void *ctx)
{
	return -1;
}

int token_key_parse(const char *pem, size_t len, struct token_key **out)
{
	_cleanup_(BIO_free_allp) BIO *bio = NULL;
	bool is_private = memmem(pem, len, "PRIVATE KEY", 11);
	EVP_PKEY *pkey;

	if (len > INT_MAX)
		return -EINVAL;
	bio = BIO_new_mem_buf(pem, (int)len);
	if (!bio)
		return -ENOMEM;
	pkey = is_private
		       ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL)
		       : parse_public(bio);
	ERR_clear_error();
	if (!pkey)
		return -EINVAL;
	if (!is_p256(pkey)) {
		EVP_PKEY_free(pkey);
		return -EINVAL;
	}
	return key_new(out, pkey, is_private);
}

static int append_bio(BIO *bio, struct buf *out)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);

	return buf_append(out, data, (size_t)len);
}

int token_key_private_pem(const struct token_key *k, struct buf *out)
{
	/* Secure memory BIO: the bytes are wiped when it is freed. */
	_cleanup_(BIO_free_allp) BIO *bio = BIO_new(BIO_s_secmem());

	if (!k->is_private)
		return -EINVAL;
	if (!bio || PEM_write_bio_PrivateKey(bio, k->pkey, NULL, NULL, 0, NULL,
					     NULL) != 1) {
		ERR_clear_error();
		return -ENOMEM;
	}
	return append_bio(bio, out);
}

int token_key_public_pem(const struct token_key *k, struct buf *out)
{
	_cleanup_(BIO_free_allp) BIO *bio = BIO_new(BIO_s_mem());

	if (!bio || PEM_write_bio_PUBKEY(bio, k->pkey) != 1) {
		ERR_clear_error();
		return -ENOMEM;
	}
	return append_bio(bio, out);
}

/* Hashes data and readies a context for the signature's raw operation. */
static EVP_PKEY_CTX *key_begin(const struct token_key *k, const void *data,
			       size_t len, uint8_t digest[TOKEN_DIGEST_BYTES],
			       int (*init)(EVP_PKEY_CTX *ctx))
{
	EVP_PKEY_CTX *ctx;

	if (token_digest(data, len, digest) < 0)
		return NULL;
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);
	if (ctx && init(ctx) != 1) {
		EVP_PKEY_CTX_free(ctx);
		ctx = NULL;
	}
	return ctx;
}

int token_key_sign(const struct token_key *k, const void *data, size_t len,
		   uint8_t out[TOKEN_SIGNATURE_BYTES])
{
	_cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = NULL;
	_cleanup_(ECDSA_SIG_freep) ECDSA_SIG *sig = NULL;
	uint8_t digest[TOKEN_DIGEST_BYTES], der[DER_SIGNATURE_MAX_BYTES];
	const uint8_t *p = der;
	size_t n = sizeof(der);

	if (!k->is_private)
		return -EINVAL;
	ctx = key_begin(k, data, len, digest, EVP_PKEY_sign_init);
	if (ctx && EVP_PKEY_sign(ctx, der, &n, digest, sizeof(digest)) == 1)
		sig = d2i_ECDSA_SIG(NULL, &p, (long)n);
	if (!sig ||
	    BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, P256_SCALAR_BYTES) < 0 ||
	    BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + P256_SCALAR_BYTES,
			 P256_SCALAR_BYTES) < 0) {
		ERR_clear_error();
		return -ENOMEM;
	}
	return 0;
}

/* A DER INTEGER: no leading zeros, except to keep the number positive. */
static size_t der_integer(const uint8_t scalar[P256_SCALAR_BYTES], uint8_t *out)
{
	size_t skip = 0, pad, n;

	while (skip < P256_SCALAR_BYTES - 1 && !scalar[skip])
		skip++;
	pad = scalar[skip] & 0x80 ? 1 : 0;
	n = P256_SCALAR_BYTES - skip;
	out[0] = 0x02;
	out[1] = (uint8_t)(n + pad);
	out[2] = 0;
	memcpy(out + 2 + pad, scalar + skip, n);
	return 2 + pad + n;
}

bool token_key_verify(const struct token_key *k, const void *data, size_t len,
		      const uint8_t sig[TOKEN_SIGNATURE_BYTES])
{
	_cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = NULL;
	uint8_t digest[TOKEN_DIGEST_BYTES], der[DER_SIGNATURE_MAX_BYTES];
	size_t n = 2;
	bool ok;

	n += der_integer(sig, der + n);
	n += der_integer(sig + P256_SCALAR_BYTES, der + n);
	der[0] = 0x30;
	der[1] = (uint8_t)(n - 2);
	ctx = key_begin(k, data, len, digest, EVP_PKEY_verify_init);
	/* R and S of zero or beyond the group's order are refused in here. */
	ok = ctx && EVP_PKEY_verify(ctx, der, n, digest, sizeof(digest)) == 1;
	if (!ok)
		ERR_clear_error();
	return ok;
}
