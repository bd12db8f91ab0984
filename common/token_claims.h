/* The JSON payload of a token, for token.c only. Pure. */
#pragma once

#include <stddef.h>

#include "common/buf.h"
#include "common/macro.h"
#include "common/token.h"

/* 0, TOKEN_E_MALFORMED (no JSON object, or a key twice), TOKEN_E_CLAIMS (a
 * claim is missing, of the wrong type or makes no sense), or -ENOMEM. *out is
 * to be deinitialised in any case. */
int token_claims_decode(const void *json, size_t len,
			struct token_claims *out) MUST_CHECK;

/* Appends the JSON object. 0 or -ENOMEM. */
int token_claims_encode(const struct token_claims *c,
			struct buf *out) MUST_CHECK;
