#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/token.h"
#include "sidecar/auth.h"

#define NOW INT64_C(1700000000)

static struct token_key *key;
static struct auth *auth;

static int setup(void **state)
{
	struct buf pem = { 0 };
	struct token_key *public;
	int r;

	if ((r = token_key_generate(&key)) ||
	    (r = token_key_public_pem(key, &pem)) ||
	    (r = token_key_parse((char *)pem.data, pem.len, &public)))
		return r;
	buf_deinit(&pem);
	return auth_new(&auth, public, "cronium", "ex_1");
}

static int teardown(void **state)
{
	auth_free(auth);
	token_key_free(key);
	return 0;
}

/* "Bearer TOKEN" in b. */
static const char *mint(struct buf *b, const char *audience,
			const char *execution, const char *id)
{
	struct token_claims c = {
		.issuer = (char *)(uintptr_t) "cronium",
		.audience = (char *)(uintptr_t)audience,
		.subject = (char *)(uintptr_t)execution,
		.job = (char *)(uintptr_t) "job_1",
		.id = (char *)(uintptr_t)id,
		.issued_s = NOW,
		.not_before_s = NOW,
		.expires_s = NOW + 600,
		.scopes = TOKEN_SCOPE_INPUT,
	};

	buf_clear(b);
	assert_int_equal(buf_append_str(b, "Bearer "), 0);
	assert_int_equal(token_mint(key, &c, b), 0);
	return buf_cstr(b);
}

static int check(const char *header, int64_t now)
{
	const struct token_claims *claims = NULL;
	int r = auth_check(auth, header, now, &claims);

	if (r == 0)
		assert_string_equal(claims->subject, "ex_1");
	return r;
}

static void test_good_token_again_and_again(void **state)
{
	struct buf b = { 0 };
	const char *header = mint(&b, "runtime", "ex_1", "t_1");

	for (int i = 0; i < 3; i++)
		assert_int_equal(check(header, NOW), 0);
	/* Known, and yet its times count. */
	assert_int_equal(check(header, NOW + 600 + TOKEN_LEEWAY_S),
			 TOKEN_E_EXPIRED);
	assert_int_equal(check(header, NOW - TOKEN_LEEWAY_S - 1),
			 TOKEN_E_NOT_YET);
	assert_int_equal(check(header, NOW), 0);
	buf_deinit(&b);
}

static void test_refused(void **state)
{
	struct buf b = { 0 };
	char *header;

	assert_int_equal(check(NULL, NOW), AUTH_E_MISSING);
	assert_int_equal(check("", NOW), AUTH_E_SCHEME);
	assert_int_equal(check("Bearer", NOW), AUTH_E_SCHEME);
	assert_int_equal(check("Bearer ", NOW), AUTH_E_MISSING);
	assert_int_equal(check("Basic dTpw", NOW), AUTH_E_SCHEME);
	assert_int_equal(check("Bearer x", NOW), TOKEN_E_MALFORMED);
	assert_int_equal(check(mint(&b, "backend", "ex_1", "t"), NOW),
			 TOKEN_E_AUDIENCE);
	assert_int_equal(check(mint(&b, "runtime", "ex_2", "t"), NOW),
			 TOKEN_E_SUBJECT);
	header = (char *)(uintptr_t)mint(&b, "runtime", "ex_1", "t");
	header[strlen(header) - 10] ^= 1;
	assert_int_equal(check(header, NOW), TOKEN_E_SIGNATURE);
	assert_int_equal(buf_append_str(&b, " trailing"), 0);
	assert_int_not_equal(check(buf_cstr(&b), NOW), 0);
	buf_deinit(&b);
}

static void test_over_long(void **state)
{
	static char header[64 * 1024];

	memset(header, 'a', sizeof(header) - 1);
	memcpy(header, "Bearer ", 7);
	assert_int_equal(check(header, NOW), TOKEN_E_MALFORMED);
}

static void test_scheme_is_any_case(void **state)
{
	struct buf b = { 0 };
	char *header = (char *)(uintptr_t)mint(&b, "runtime", "ex_1", "t_c");

	memcpy(header, "bEARER", 6);
	assert_int_equal(check(header, NOW), 0);
	buf_deinit(&b);
}

static void test_revoked(void **state)
{
	struct buf a = { 0 }, b = { 0 };
	const char *known = mint(&a, "runtime", "ex_1", "t_known");
	const char *unknown = mint(&b, "runtime", "ex_1", "t_unknown");

	assert_int_equal(check(known, NOW), 0);
	assert_int_equal(auth_revoke(auth, "t_known"), 0);
	assert_int_equal(auth_revoke(auth, "t_known"), 0);
	assert_int_equal(auth_revoke(auth, "t_unknown"), 0);
	assert_int_equal(check(known, NOW), AUTH_E_REVOKED);
	assert_int_equal(check(unknown, NOW), AUTH_E_REVOKED);
	buf_deinit(&a);
	buf_deinit(&b);
}

static void test_revocations_are_bounded(void **state)
{
	char id[16];

	for (int i = 0; i < AUTH_REVOKED_MAX; i++) {
		snprintf(id, sizeof(id), "t_%d", i);
		assert_int_equal(auth_revoke(auth, id), 0);
	}
	assert_int_equal(auth_revoke(auth, "t_x"), -ENOSPC);
}

static void test_many_tokens(void **state)
{
	struct buf b[AUTH_TOKENS_MAX * 3] = { 0 };
	char id[16];

	for (size_t round = 0; round < 2; round++)
		for (size_t i = 0; i < ARRAY_SIZE(b); i++) {
			snprintf(id, sizeof(id), "m_%zu", i);
			if (!round)
				mint(&b[i], "runtime", "ex_1", id);
			assert_int_equal(check(buf_cstr(&b[i]), NOW), 0);
		}
	for (size_t i = 0; i < ARRAY_SIZE(b); i++)
		buf_deinit(&b[i]);
}

/* The last one is known by its bytes, and only by all of them. */
static void test_other_than_the_last(void **state)
{
	struct buf a = { 0 }, b = { 0 };
	const char *other = mint(&b, "runtime", "ex_1", "t_2");
	char *last = (char *)(uintptr_t)mint(&a, "runtime", "ex_1", "t_1");
	size_t n = strlen(last);

	assert_int_equal(check(last, NOW), 0);
	last[n - 10] ^= 1;
	assert_int_equal(check(last, NOW), TOKEN_E_SIGNATURE);
	last[n - 10] ^= 1;
	assert_int_equal(check(last, NOW), 0);
	last[n - 1] = '\0';
	assert_int_not_equal(check(last, NOW), 0);
	assert_int_equal(check(other, NOW), 0);
	assert_int_equal(auth_revoke(auth, "t_2"), 0);
	assert_int_equal(check(other, NOW), AUTH_E_REVOKED);
	buf_deinit(&a);
	buf_deinit(&b);
}

static void test_refusals_have_words(void **state)
{
	assert_string_equal(auth_refusal(AUTH_E_MISSING).code, "token_missing");
	assert_string_equal(auth_refusal(TOKEN_E_EXPIRED).code,
			    "token_expired");
	assert_string_equal(auth_refusal(AUTH_E_REVOKED).code, "token_revoked");
	for (int e = TOKEN_E_MALFORMED; e <= TOKEN_E_SUBJECT; e++) {
		assert_string_equal(auth_refusal(e).code, "token_invalid");
		assert_true(strlen(auth_refusal(e).detail) > 10);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_good_token_again_and_again),
		TEST(test_refused),
		TEST(test_over_long),
		TEST(test_scheme_is_any_case),
		TEST(test_revoked),
		TEST(test_revocations_are_bounded),
		TEST(test_many_tokens),
		TEST(test_other_than_the_last),
		TEST(test_refusals_have_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
