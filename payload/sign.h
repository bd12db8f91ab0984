/* Signs programs: the other half of verify.h. */
#pragma once

#include <stddef.h>

#include "common/buf.h"
#include "common/macro.h"

struct payload_signer;

/* pem: a private key of P-256, SEC 1 or PKCS #8, without a password. 0,
 * -EINVAL or -ENOMEM. */
int payload_signer_new(struct payload_signer **out, const char *pem,
		       size_t len) MUST_CHECK;
void payload_signer_free(struct payload_signer *s);
DEFINE_CLEANUP(struct payload_signer *, payload_signer_free)

/* Appends base64(DER) without a newline. 0 or negative errno. */
int payload_sign(const struct payload_signer *s, const void *data, size_t len,
		 struct buf *out) MUST_CHECK;
/* Appends the public key: PEM, or "base64:" and DER as runners take it. */
int payload_signer_public_pem(const struct payload_signer *s,
			      struct buf *out) MUST_CHECK;
int payload_signer_public_base64(const struct payload_signer *s,
				 struct buf *out) MUST_CHECK;
