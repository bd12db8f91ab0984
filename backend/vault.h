/*
 * AES-256-GCM for what is encrypted at rest. A sealed value is
 *
 *     version (1 byte) | nonce (12) | ciphertext | tag (16)
 *
 * bound to a context (additional authenticated data): a sealed value that is
 * moved to another place of the database does not open.
 *
 * A vault may be used from several threads at once.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macro.h"

#define VAULT_KEY_BYTES 32
#define VAULT_OVERHEAD_BYTES (1 + 12 + 16)

struct vault;

/* Copies the key. 0 or negative errno. */
int vault_new(struct vault **out,
	      const uint8_t key[VAULT_KEY_BYTES]) MUST_CHECK;
/* Overwrites the key; NULL is fine. */
void vault_free(struct vault *v);
DEFINE_CLEANUP(struct vault *, vault_free)

/* Appends the sealed value to out. 0 or negative errno. */
int vault_seal(const struct vault *v, const char *context, const void *plain,
	       size_t len, struct buf *out) MUST_CHECK;

/* Positive outcome of vault_open(). */
enum {
	VAULT_E_REFUSED = 1, /* another key or context, or it was changed */
};

/* Appends the plain value to out (buf_deinit_secret()). 0, VAULT_E_REFUSED,
 * or negative errno. */
int vault_open(const struct vault *v, const char *context, const void *sealed,
	       size_t len, struct buf *out) MUST_CHECK;

#define VAULT_DIGEST_BYTES 32

/* A keyed digest (HMAC-SHA-256): tells whether two values are the same, and
 * nothing else to whoever has not the key. 0 or negative errno. */
int vault_digest(const struct vault *v, const char *context, const void *data,
		 size_t len, uint8_t out[VAULT_DIGEST_BYTES]) MUST_CHECK;
