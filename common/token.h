/*
 * Execution tokens: ES256 JWT (RFC 7519, 7515). The backend mints with the
 * private key; everybody else verifies with the public one. The algorithm is
 * pinned; jku, x5u, jwk are ignored, an unknown crit is refused.
 *
 * On OpenSSL directly, with the key parsed once: libjwt 1.10 parses the PEM at
 * every call, which alone costs five times a verification.
 *
 * Pure: the time is a parameter, no socket is touched.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macro.h"

#define TOKEN_MAX_BYTES 8192
#define TOKEN_LEEWAY_S 30
#define TOKEN_PATTERNS_MAX 64
#define TOKEN_DIGEST_BYTES 32

enum token_scope {
	TOKEN_SCOPE_INPUT = 1 << 0,
	TOKEN_SCOPE_OUTPUT = 1 << 1,
	TOKEN_SCOPE_VARIABLES = 1 << 2,
	TOKEN_SCOPE_CONDITION = 1 << 3,
	TOKEN_SCOPE_CONTEXT = 1 << 4,
	TOKEN_SCOPE_TOOLS = 1 << 5,
	TOKEN_SCOPE_ALL = (1 << 6) - 1,
};

struct token_patterns {
	char **items; /* "*" matches any run of characters */
	size_t n;
};

struct token_claims {
	char *issuer;
	char *audience; /* "runtime" or "backend" */
	char *subject;  /* execution */
	char *job;
	char *id; /* jti */
	int64_t issued_s, not_before_s, expires_s;
	unsigned int scopes; /* enum token_scope */
	struct token_patterns vars_read, vars_write;
	struct token_patterns tools; /* of "TOOL/ACTION" */
	bool read_only;
};

void token_claims_deinit(struct token_claims *c);

/* True when key may be read (written) under these claims; writing also needs
 * !read_only. */
bool token_may_read(const struct token_claims *c, const char *key);
bool token_may_write(const struct token_claims *c, const char *key);
/* name: "TOOL/ACTION". */
bool token_may_call(const struct token_claims *c, const char *name);

struct token_key; /* a parsed P-256 key, private or public */

int token_key_generate(struct token_key **out) MUST_CHECK;
/* PEM, private or public; -EINVAL if it is not a P-256 key. */
int token_key_parse(const char *pem, size_t len,
		    struct token_key **out) MUST_CHECK;
int token_key_private_pem(const struct token_key *k,
			  struct buf *out) MUST_CHECK;
int token_key_public_pem(const struct token_key *k, struct buf *out) MUST_CHECK;
void token_key_free(struct token_key *k);
DEFINE_CLEANUP(struct token_key *, token_key_free)

/* Appends the compact form to out. -EINVAL when k is only public. */
int token_mint(const struct token_key *k, const struct token_claims *c,
	       struct buf *out) MUST_CHECK;

/* Positive outcomes of token_verify(): why a token is refused. */
enum {
	TOKEN_E_MALFORMED = 1,
	TOKEN_E_ALGORITHM,
	TOKEN_E_CRITICAL,
	TOKEN_E_SIGNATURE,
	TOKEN_E_CLAIMS,
	TOKEN_E_AUDIENCE,
	TOKEN_E_ISSUER,
	TOKEN_E_SUBJECT,
	TOKEN_E_EXPIRED,
	TOKEN_E_NOT_YET,
};

struct token_expect {
	const char *issuer;
	const char *audience;
	const char *subject; /* NULL accepts any */
};

/* 0 with *out filled (token_claims_deinit), TOKEN_E_*, or -ENOMEM. */
int token_verify(const struct token_key *k, const char *jwt, size_t len,
		 const struct token_expect *expect, int64_t now_s,
		 struct token_claims *out) MUST_CHECK;
/* The times alone, for a token known from before: 0, TOKEN_E_EXPIRED or
 * TOKEN_E_NOT_YET. */
int token_check_times(const struct token_claims *c, int64_t now_s) MUST_CHECK;
/* The subject that a token claims, before anything is verified: good for
 * looking up with whose key to verify, for nothing else. out is "" where it has
 * none that fits, or is no token. */
void token_claimed_subject(const char *jwt, size_t len, char *out, size_t size);
/* "the token has expired" … for a problem document. */
const char *token_strerror(int e);

/* SHA-256 of the compact form: how a token is known once verified. */
int token_digest(const char *jwt, size_t len,
		 uint8_t out[TOKEN_DIGEST_BYTES]) MUST_CHECK;
