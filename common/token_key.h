/*
 * The P-256 key behind a token, for token.c only: signatures here are the 64
 * raw bytes R||S of JWS (RFC 7518 section 3.4), not DER.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"
#include "common/token.h"

#define TOKEN_SIGNATURE_BYTES 64

/* 0, -EINVAL when k is only public, or -ENOMEM. */
int token_key_sign(const struct token_key *k, const void *data, size_t len,
		   uint8_t out[TOKEN_SIGNATURE_BYTES]) MUST_CHECK;

/* True for the one outcome that is good; anything else is false. */
bool token_key_verify(const struct token_key *k, const void *data, size_t len,
		      const uint8_t sig[TOKEN_SIGNATURE_BYTES]) MUST_CHECK;
