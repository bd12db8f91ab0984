/*
 * Whether a program is the one that was signed: ECDSA P-256 over SHA-256, the
 * signature base64 of DER, as `cosign verify-blob --key` has it. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

#define PAYLOAD_SIGNATURE_MAX_BYTES 128 /* base64, with a final newline */
#define PAYLOAD_KEY_MAX_BYTES 1024      /* PEM, or the prefix and DER */
#define PAYLOAD_KEY_BYTES 65            /* an uncompressed point of P-256 */
#define PAYLOAD_KEY_PREFIX "base64:"    /* of a key that is no PEM */

enum {
	PAYLOAD_E_SIGNATURE = 10, /* made by another key, or of other bytes */
	PAYLOAD_E_MALFORMED,      /* is no signature at all */
};

struct payload_key {
	uint8_t point[PAYLOAD_KEY_BYTES];
};

/* text: a PEM SubjectPublicKeyInfo, or the prefix and its DER in base64. 0 or
 * -EINVAL (no public key of P-256). */
int payload_key_parse(struct payload_key *key, const char *text,
		      size_t len) MUST_CHECK;
/* 0, PAYLOAD_E_SIGNATURE or PAYLOAD_E_MALFORMED. */
int payload_verify(const struct payload_key *key, const void *data, size_t len,
		   const char *signature, size_t signature_len) MUST_CHECK;
