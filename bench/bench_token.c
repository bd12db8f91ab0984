/*
 * What a token check costs, beside what it cannot do without: one ES256
 * verification of the same bytes with a parsed key, and one SHA-256.
 *
 *     bench_token [ROUND_MS]
 *
 * The four take turns, so that they see the same machine; prints a JSON object
 * with the nanoseconds of processor time of each round.
 */
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/token.h"
#include "sidecar/auth.h"

#define ROUNDS 7
#define ROUND_MS 400
#define CALLS_A_TURN 16
#define EXECUTION "ex_01j0000000000000000000000a"
#define SIGNATURE_MAX_BYTES 80

struct bench {
	struct token_key *key;
	struct auth *auth;
	struct buf jwt, header;
	int64_t now_s;
	EVP_PKEY *bare_key;
	EVP_MD_CTX *bare_ctx;
	uint8_t signature[SIGNATURE_MAX_BYTES]; /* of the token's length */
	size_t signature_len;
};

static void check(int ok)
{
	if (!ok) {
		fputs("bench_token: a check failed\n", stderr);
		exit(1);
	}
}

/* --- what is measured ----------------------------------------------------- */

static void check_first(struct bench *b)
{
	const struct token_expect expect = { "cronium", "runtime", EXECUTION };
	struct token_claims claims;

	check(!token_verify(b->key, (const char *)b->jwt.data, b->jwt.len,
			    &expect, b->now_s, &claims));
	token_claims_deinit(&claims);
}

static void check_again(struct bench *b)
{
	const struct token_claims *claims;

	check(!auth_check(b->auth, (const char *)b->header.data, b->now_s,
			  &claims));
}

static void bare_verify(struct bench *b)
{
	EVP_MD_CTX_reset(b->bare_ctx);
	check(EVP_DigestVerifyInit(b->bare_ctx, NULL, EVP_sha256(), NULL,
				   b->bare_key) == 1);
	check(EVP_DigestVerify(b->bare_ctx, b->signature, b->signature_len,
			       b->jwt.data, b->jwt.len) == 1);
}

static void bare_digest(struct bench *b)
{
	uint8_t digest[EVP_MAX_MD_SIZE];

	check(EVP_Digest(b->jwt.data, b->jwt.len, digest, NULL, EVP_sha256(),
			 NULL) == 1);
}

/* --- set-up --------------------------------------------------------------- */

static void make_token(struct bench *b)
{
	char *all[] = { (char *)"*" };
	const struct token_claims claims = {
		.issuer = (char *)"cronium",
		.audience = (char *)"runtime",
		.subject = (char *)EXECUTION,
		.job = (char *)"job_01j0000000000000000000000a",
		.id = (char *)"tok_01j0000000000000000000000a",
		.issued_s = b->now_s,
		.not_before_s = b->now_s,
		.expires_s = b->now_s + 3600,
		.scopes = TOKEN_SCOPE_ALL,
		.vars_read = { all, 1 },
		.vars_write = { all, 1 },
	};

	check(!token_key_generate(&b->key));
	check(!token_mint(b->key, &claims, &b->jwt));
	check(!buf_printf(&b->header, "Bearer %s", buf_cstr(&b->jwt)));
	check(buf_cstr(&b->header) != NULL);
}

static void make_auth(struct bench *b)
{
	_cleanup_(buf_deinit) struct buf pem = { 0 };
	struct token_key *key;

	check(!token_key_public_pem(b->key, &pem));
	check(!token_key_parse((const char *)pem.data, pem.len, &key));
	check(!auth_new(&b->auth, key, "cronium", EXECUTION));
}

static void make_bare(struct bench *b)
{
	b->bare_key = EVP_EC_gen("P-256");
	b->bare_ctx = EVP_MD_CTX_new();
	check(b->bare_key && b->bare_ctx);
	check(EVP_DigestSignInit(b->bare_ctx, NULL, EVP_sha256(), NULL,
				 b->bare_key) == 1);
	b->signature_len = sizeof(b->signature);
	check(EVP_DigestSign(b->bare_ctx, b->signature, &b->signature_len,
			     b->jwt.data, b->jwt.len) == 1);
}

/* --- measuring ------------------------------------------------------------ */

static const struct {
	const char *name;
	void (*run)(struct bench *b);
} MEASURED[] = {
	{ "first", check_first },
	{ "bare_verify", bare_verify },
	{ "again", check_again },
	{ "bare_digest", bare_digest },
};

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Nanoseconds of processor that each takes, over about ms milliseconds. The
 * four take turns of a millisecond or less. */
static void measure(struct bench *b, uint64_t ms, double *out)
{
	uint64_t end_us = clock_mono_us() + ms * 1000;
	uint64_t ns[ARRAY_SIZE(MEASURED)] = { 0 }, n = 0;

	do {
		for (size_t i = 0; i < ARRAY_SIZE(MEASURED); i++) {
			uint64_t start_ns = cpu_ns();

			for (int k = 0; k < CALLS_A_TURN; k++)
				MEASURED[i].run(b);
			ns[i] += cpu_ns() - start_ns;
		}
		n += CALLS_A_TURN;
	} while (clock_mono_us() < end_us);
	for (size_t i = 0; i < ARRAY_SIZE(MEASURED); i++)
		out[i] = (double)ns[i] / (double)n;
}

int main(int argc, char **argv)
{
	double ns[ROUNDS][ARRAY_SIZE(MEASURED)];
	uint64_t ms = argc > 1 ? strtoul(argv[1], NULL, 10) : ROUND_MS;
	struct bench b = { .now_s = clock_wall_s() };

	make_token(&b);
	make_auth(&b);
	make_bare(&b);
	for (int round = 0; round < ROUNDS; round++)
		measure(&b, ms, ns[round]);
	for (size_t i = 0; i < ARRAY_SIZE(MEASURED); i++) {
		printf("%s\"%s\":[", i ? "," : "{", MEASURED[i].name);
		for (int round = 0; round < ROUNDS; round++)
			printf("%s%.1f", round ? "," : "", ns[round][i]);
		printf("]");
	}
	puts("}");
	return 0;
}
