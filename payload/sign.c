#include "payload/sign.h"

#include <errno.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <string.h>

#include "payload/verify.h"

#define SIGN_GROUP "prime256v1"
#define SIGN_GROUP_MAX_BYTES 64
#define SIGN_DER_MAX_BYTES 80 /* of a signature: two integers of 33 bytes */
#define SIGN_BASE64_BYTES(n) (((n) + 2) / 3 * 4)

struct payload_signer {
	EVP_PKEY *pkey;
};

DEFINE_CLEANUP(BIO *, BIO_free_all)
DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free)

/* Nobody is there to type a password. */
static int sign_no_password(char *buf, int size, int rwflag, void *ctx)
{
	return -1;
}

static bool sign_is_p256(const EVP_PKEY *pkey)
{
	char group[SIGN_GROUP_MAX_BYTES];

	return EVP_PKEY_is_a(pkey, "EC") &&
	       EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME,
					      group, sizeof(group), NULL) > 0 &&
	       !strcmp(group, SIGN_GROUP);
}

int payload_signer_new(struct payload_signer **out, const char *pem, size_t len)
{
	_cleanup_(BIO_free_allp) BIO *bio = NULL;
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *pkey = NULL;
	struct payload_signer *s;

	if (len > INT_MAX)
		return -EINVAL;
	bio = BIO_new_mem_buf(pem, (int)len);
	if (!bio)
		return -ENOMEM;
	pkey = PEM_read_bio_PrivateKey(bio, NULL, sign_no_password, NULL);
	ERR_clear_error();
	if (!pkey || !sign_is_p256(pkey))
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->pkey = pkey;
	pkey = NULL;
	*out = s;
	return 0;
}

void payload_signer_free(struct payload_signer *s)
{
	if (!s)
		return;
	EVP_PKEY_free(s->pkey);
	free(s);
}

/* Appends the base64 of it. */
static int sign_append_base64(struct buf *out, const uint8_t *data, size_t len)
{
	size_t n = SIGN_BASE64_BYTES(len);

	if (buf_reserve(out, n + 1)) /* it ends in a NUL */
		return -ENOMEM;
	EVP_EncodeBlock(out->data + out->len, data, (int)len);
	out->len += n;
	return 0;
}

int payload_sign(const struct payload_signer *s, const void *data, size_t len,
		 struct buf *out)
{
	_cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[SIGN_DER_MAX_BYTES];
	size_t n = sizeof(der);

	if (!ctx ||
	    EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, s->pkey) <= 0 ||
	    EVP_DigestSign(ctx, der, &n, data, len) <= 0) {
		ERR_clear_error();
		return -ENOMEM;
	}
	return sign_append_base64(out, der, n);
}

int payload_signer_public_pem(const struct payload_signer *s, struct buf *out)
{
	_cleanup_(BIO_free_allp) BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long n;

	if (!bio || PEM_write_bio_PUBKEY(bio, s->pkey) <= 0) {
		ERR_clear_error();
		return -ENOMEM;
	}
	n = BIO_get_mem_data(bio, &text);
	return buf_append(out, text, (size_t)n);
}

int payload_signer_public_base64(const struct payload_signer *s,
				 struct buf *out)
{
	uint8_t *der = NULL;
	int n = i2d_PUBKEY(s->pkey, &der), r;

	if (n <= 0) {
		ERR_clear_error();
		return -ENOMEM;
	}
	r = buf_append_str(out, PAYLOAD_KEY_PREFIX);
	if (!r)
		r = sign_append_base64(out, der, (size_t)n);
	OPENSSL_free(der);
	return r;
}
