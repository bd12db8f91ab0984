/*
 * Who is asking: the runtime token of this execution. A token is verified
 * once (45 us) and then known by its SHA-256 (0.4 us), the last one by its
 * bytes (0.05 us); its times and its revocation are looked at each time.
 *
 * Pure: the time is a parameter, no socket is touched.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"
#include "common/token.h"

#define AUTH_TOKENS_MAX 8   /* known at a time; the least used one goes */
#define AUTH_REVOKED_MAX 64 /* tokens of one execution that were revoked */

struct auth;

/* Takes key, also on error. issuer and execution are copied. */
int auth_new(struct auth **out, struct token_key *key, const char *issuer,
	     const char *execution) MUST_CHECK;
void auth_free(struct auth *a);
DEFINE_CLEANUP(struct auth *, auth_free)

/* Why a request is refused; otherwise TOKEN_E_*. */
enum {
	AUTH_E_MISSING = 100,
	AUTH_E_SCHEME,
	AUTH_E_REVOKED,
};

/* What to tell the caller; never contains anything of the token. */
struct auth_refusal {
	const char *code;
	const char *detail;
};

/*
 * header: the value of Authorization, NULL when absent. 0 with *claims valid
 * until the next call; AUTH_E_* or TOKEN_E_*; or negative errno.
 */
int auth_check(struct auth *a, const char *header, int64_t now_s,
	       const struct token_claims **claims) MUST_CHECK;
struct auth_refusal auth_refusal(int e);

/* Whether the token was verified before: asking again is cheap. */
bool auth_knows(struct auth *a, const char *header);
/* Of "Bearer CREDENTIALS" the execution that the token claims to be of, before
 * anything is verified; "" where there is none. */
void auth_claimed_execution(const char *header, char *out, size_t size);
/* The execution has ended: every good token of it is AUTH_E_REVOKED. */
void auth_end(struct auth *a);
/* The tokens that `before` knows or has revoked are revoked here, too: another
 * turn of the same execution. */
void auth_supersede(struct auth *a, const struct auth *before);

/* From now on the token with this jti is refused. 0, or -ENOSPC once
 * AUTH_REVOKED_MAX are known. */
int auth_revoke(struct auth *a, const char *id) MUST_CHECK;
