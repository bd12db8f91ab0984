#include "backend/vault.h"

#include <errno.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#define VAULT_VERSION 1
#define VAULT_NONCE_BYTES 12
#define VAULT_TAG_BYTES 16
#define VAULT_HEADER_BYTES (1 + VAULT_NONCE_BYTES)

struct vault {
	EVP_CIPHER *cipher;  /* fetched once: a fetch costs more than a seal */
	EVP_MAC_CTX *digest; /* keyed; duplicated for each use */
	uint8_t key[VAULT_KEY_BYTES];
};

DEFINE_CLEANUP(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_free)
DEFINE_CLEANUP(EVP_MAC_CTX *, EVP_MAC_CTX_free)
DEFINE_CLEANUP(EVP_MAC *, EVP_MAC_free)

void vault_free(struct vault *v)
{
	if (!v)
		return;
	EVP_CIPHER_free(v->cipher);
	EVP_MAC_CTX_free(v->digest);
	OPENSSL_cleanse(v->key, sizeof(v->key));
	free(v);
}

/* The digest has a key of its own, derived from the master key. */
static int vault_init_digest(struct vault *v)
{
	static const char label[] = "cronium digest key";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
						 (char *)"SHA256", 0),
		OSSL_PARAM_construct_end(),
	};
	_cleanup_(EVP_MAC_freep) EVP_MAC *mac = NULL;
	uint8_t key[VAULT_DIGEST_BYTES];
	int ok;

	mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if (!mac || !(v->digest = EVP_MAC_CTX_new(mac)))
		return -ENOMEM;
	ok = HMAC(EVP_sha256(), v->key, sizeof(v->key),
		  (const unsigned char *)label, sizeof(label), key, NULL) &&
	     EVP_MAC_init(v->digest, key, sizeof(key), params) > 0;
	OPENSSL_cleanse(key, sizeof(key));
	return ok ? 0 : -EIO;
}

int vault_new(struct vault **out, const uint8_t key[VAULT_KEY_BYTES])
{
	_cleanup_(vault_freep) struct vault *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return -ENOMEM;
	memcpy(v->key, key, sizeof(v->key));
	v->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	if (!v->cipher)
		return -ENOTSUP;
	r = vault_init_digest(v);
	if (r < 0)
		return r;
	*out = v;
	v = NULL;
	return 0;
}

int vault_seal(const struct vault *v, const char *context, const void *plain,
	       size_t len, struct buf *out)
{
	_cleanup_(EVP_CIPHER_CTX_freep) EVP_CIPHER_CTX *ctx = NULL;
	uint8_t *nonce, *text;
	int n, ok, r;

	if (len > INT_MAX - VAULT_OVERHEAD_BYTES)
		return -E2BIG;
	r = buf_reserve(out, len + VAULT_OVERHEAD_BYTES);
	if (r < 0)
		return r;
	ctx = EVP_CIPHER_CTX_new();
	if (!ctx)
		return -ENOMEM;
	out->data[out->len] = VAULT_VERSION;
	nonce = out->data + out->len + 1;
	text = nonce + VAULT_NONCE_BYTES;
	ok = RAND_bytes(nonce, VAULT_NONCE_BYTES) > 0 &&
	     EVP_EncryptInit_ex2(ctx, v->cipher, v->key, nonce, NULL) &&
	     EVP_EncryptUpdate(ctx, NULL, &n, (const uint8_t *)context,
			       (int)strlen(context)) &&
	     EVP_EncryptUpdate(ctx, text, &n, plain, (int)len) &&
	     EVP_EncryptFinal_ex(ctx, text + len, &n) &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, VAULT_TAG_BYTES,
				 text + len);
	if (!ok)
		return -EIO;
	out->len += len + VAULT_OVERHEAD_BYTES;
	return 0;
}

int vault_open(const struct vault *v, const char *context, const void *sealed,
	       size_t len, struct buf *out)
{
	_cleanup_(EVP_CIPHER_CTX_freep) EVP_CIPHER_CTX *ctx = NULL;
	const uint8_t *in = sealed;
	size_t n_text;
	int n, ok, r;

	if (len < VAULT_OVERHEAD_BYTES || len > INT_MAX ||
	    in[0] != VAULT_VERSION)
		return VAULT_E_REFUSED;
	n_text = len - VAULT_OVERHEAD_BYTES;
	r = buf_reserve(out, n_text + 1);
	if (r < 0)
		return r;
	ctx = EVP_CIPHER_CTX_new();
	if (!ctx)
		return -ENOMEM;
	ok = EVP_DecryptInit_ex2(ctx, v->cipher, v->key, in + 1, NULL) &&
	     EVP_DecryptUpdate(ctx, NULL, &n, (const uint8_t *)context,
			       (int)strlen(context)) &&
	     EVP_DecryptUpdate(ctx, out->data + out->len, &n,
			       in + VAULT_HEADER_BYTES, (int)n_text) &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, VAULT_TAG_BYTES,
				 (void *)(in + VAULT_HEADER_BYTES + n_text));
	if (!ok)
		return -EIO;
	if (EVP_DecryptFinal_ex(ctx, out->data + out->len, &n) <= 0) {
		OPENSSL_cleanse(out->data + out->len, n_text);
		return VAULT_E_REFUSED;
	}
	out->len += n_text;
	return 0;
}

int vault_digest(const struct vault *v, const char *context, const void *data,
		 size_t len, uint8_t out[VAULT_DIGEST_BYTES])
{
	_cleanup_(EVP_MAC_CTX_freep)
		EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(v->digest);
	size_t n;
	int ok;

	if (!ctx)
		return -ENOMEM;
	/* The NUL keeps context and data apart. */
	ok = EVP_MAC_update(ctx, (const uint8_t *)context,
			    strlen(context) + 1) &&
	     EVP_MAC_update(ctx, data, len) &&
	     EVP_MAC_final(ctx, out, &n, VAULT_DIGEST_BYTES);
	return ok ? 0 : -EIO;
}
