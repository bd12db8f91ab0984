#include "sidecar/auth.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>

#include "common/buf.h"

#define AUDIENCE "runtime"

struct known_token {
	uint8_t digest[TOKEN_DIGEST_BYTES];
	struct token_claims claims;
	uint64_t used; /* 0: free */
};

struct auth {
	struct token_key *key;
	char *issuer, *execution;
	struct known_token tokens[AUTH_TOKENS_MAX];
	uint64_t uses;
	/* The last one and its bytes: a script has one token, and asks again
	 * and again. */
	struct known_token *last;
	struct buf last_jwt;
	char *revoked[AUTH_REVOKED_MAX];
	size_t n_revoked;
	bool ended;
};

int auth_new(struct auth **out, struct token_key *key, const char *issuer,
	     const char *execution)
{
	struct auth *a = calloc(1, sizeof(*a));

	if (!a) {
		token_key_free(key);
		return -ENOMEM;
	}
	a->key = key;
	a->issuer = strdup(issuer);
	a->execution = strdup(execution);
	if (!a->issuer || !a->execution) {
		auth_free(a);
		return -ENOMEM;
	}
	*out = a;
	return 0;
}

void auth_free(struct auth *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < AUTH_TOKENS_MAX; i++)
		token_claims_deinit(&a->tokens[i].claims);
	for (size_t i = 0; i < a->n_revoked; i++)
		free(a->revoked[i]);
	buf_deinit_secret(&a->last_jwt);
	token_key_free(a->key);
	free(a->issuer);
	free(a->execution);
	free(a);
}

static struct known_token *find(struct auth *a,
				const uint8_t digest[TOKEN_DIGEST_BYTES])
{
	for (size_t i = 0; i < AUTH_TOKENS_MAX; i++)
		if (a->tokens[i].used &&
		    !CRYPTO_memcmp(a->tokens[i].digest, digest,
				   TOKEN_DIGEST_BYTES))
			return &a->tokens[i];
	return NULL;
}

static struct known_token *least_used(struct auth *a)
{
	struct known_token *t = &a->tokens[0];

	for (size_t i = 1; i < AUTH_TOKENS_MAX; i++)
		if (a->tokens[i].used < t->used)
			t = &a->tokens[i];
	return t;
}

static bool is_revoked(const struct auth *a, const char *id)
{
	for (size_t i = 0; i < a->n_revoked; i++)
		if (!strcmp(a->revoked[i], id))
			return true;
	return false;
}

/* First sight of a token. */
static int learn(struct auth *a, const char *jwt, size_t len, int64_t now_s,
		 const uint8_t digest[TOKEN_DIGEST_BYTES],
		 struct known_token **out)
{
	const struct token_expect expect = {
		.issuer = a->issuer,
		.audience = AUDIENCE,
		.subject = a->execution,
	};
	struct token_claims claims;
	struct known_token *t;
	int r;

	r = token_verify(a->key, jwt, len, &expect, now_s, &claims);
	if (r)
		return r;
	t = least_used(a);
	token_claims_deinit(&t->claims);
	t->claims = claims;
	memcpy(t->digest, digest, TOKEN_DIGEST_BYTES);
	*out = t;
	return 0;
}

/* Takes as long whatever the bytes are: an eighth of the time of SHA-256. */
static bool same_bytes(const void *a, const void *b, size_t len)
{
	const uint8_t *x = a, *y = b;
	uint8_t differ = 0;

	for (size_t i = 0; i < len; i++)
		differ |= x[i] ^ y[i];
	return !differ;
}

static bool is_last(const struct auth *a, const char *jwt, size_t len)
{
	return a->last && a->last_jwt.len == len &&
	       same_bytes(a->last_jwt.data, jwt, len);
}

static void set_last(struct auth *a, struct known_token *t, const char *jwt,
		     size_t len)
{
	a->last = NULL;
	buf_deinit_secret(&a->last_jwt);
	if (buf_append(&a->last_jwt, jwt, len) == 0)
		a->last = t;
}

/* By its SHA-256, or for the first time. */
static int identify(struct auth *a, const char *jwt, size_t len, int64_t now_s,
		    struct known_token **out)
{
	uint8_t digest[TOKEN_DIGEST_BYTES];
	int r = token_digest(jwt, len, digest);

	if (r)
		return r;
	*out = find(a, digest);
	if (!*out)
		r = learn(a, jwt, len, now_s, digest, out);
	if (!r)
		set_last(a, *out, jwt, len);
	return r;
}

/* The credentials of "Bearer CREDENTIALS" (RFC 6750). */
static int take_bearer(const char *header, const char **jwt, size_t *len)
{
	if (!header)
		return AUTH_E_MISSING;
	if (strncasecmp(header, "Bearer ", 7))
		return AUTH_E_SCHEME;
	*jwt = header + 7 + strspn(header + 7, " ");
	*len = strnlen(*jwt, TOKEN_MAX_BYTES + 1);
	if (!*len)
		return AUTH_E_MISSING;
	return *len > TOKEN_MAX_BYTES ? TOKEN_E_MALFORMED : 0;
}

int auth_check(struct auth *a, const char *header, int64_t now_s,
	       const struct token_claims **claims)
{
	struct known_token *t;
	const char *jwt;
	size_t len;
	int r = take_bearer(header, &jwt, &len);

	if (r)
		return r;
	t = a->last;
	if (!is_last(a, jwt, len))
		r = identify(a, jwt, len, now_s, &t);
	if (!r)
		r = token_check_times(&t->claims, now_s);
	if (r)
		return r;
	t->used = ++a->uses;
	if (a->ended || (a->n_revoked && is_revoked(a, t->claims.id)))
		return AUTH_E_REVOKED;
	*claims = &t->claims;
	return 0;
}

struct auth_refusal auth_refusal(int e)
{
	switch (e) {
	case AUTH_E_MISSING:
		return (struct auth_refusal){
			"token_missing",
			"this call needs \"Authorization: Bearer TOKEN\" with "
			"the token in $CRONIUM_EXECUTION_TOKEN",
		};
	case AUTH_E_SCHEME:
		return (struct auth_refusal){
			"token_missing",
			"the Authorization header has another scheme than "
			"Bearer; send the token in $CRONIUM_EXECUTION_TOKEN",
		};
	case AUTH_E_REVOKED:
		return (struct auth_refusal){
			"token_revoked",
			"the token was revoked because its execution ended",
		};
	case TOKEN_E_EXPIRED:
		return (struct auth_refusal){ "token_expired",
					      token_strerror(e) };
	default:
		return (struct auth_refusal){ "token_invalid",
					      token_strerror(e) };
	}
}

int auth_revoke(struct auth *a, const char *id)
{
	char *copy;

	if (is_revoked(a, id))
		return 0;
	if (a->n_revoked == AUTH_REVOKED_MAX)
		return -ENOSPC;
	copy = strdup(id);
	if (!copy)
		return -ENOMEM;
	a->revoked[a->n_revoked++] = copy;
	return 0;
}

bool auth_knows(struct auth *a, const char *header)
{
	uint8_t digest[TOKEN_DIGEST_BYTES];
	const char *jwt;
	size_t len;

	if (take_bearer(header, &jwt, &len))
		return false;
	return is_last(a, jwt, len) ||
	       (!token_digest(jwt, len, digest) && find(a, digest));
}

void auth_claimed_execution(const char *header, char *out, size_t size)
{
	const char *jwt;
	size_t len;

	*out = '\0';
	if (!take_bearer(header, &jwt, &len))
		token_claimed_subject(jwt, len, out, size);
}

void auth_end(struct auth *a)
{
	a->ended = true;
}

/* Too many to remember: better none than an old one. */
static void supersede_id(struct auth *a, const char *id)
{
	if (auth_revoke(a, id) < 0)
		a->ended = true;
}

void auth_supersede(struct auth *a, const struct auth *before)
{
	for (size_t i = 0; i < AUTH_TOKENS_MAX; i++)
		if (before->tokens[i].used)
			supersede_id(a, before->tokens[i].claims.id);
	for (size_t i = 0; i < before->n_revoked; i++)
		supersede_id(a, before->revoked[i]);
}
