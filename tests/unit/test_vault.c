#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/vault.h"

static const uint8_t key_a[VAULT_KEY_BYTES] = { 1 };
static const uint8_t key_b[VAULT_KEY_BYTES] = { 2 };

static struct vault *vault(const uint8_t *key)
{
	struct vault *v;

	assert_int_equal(vault_new(&v, key), 0);
	return v;
}

static void test_round_trip(void **state)
{
	struct vault *v = vault(key_a);
	struct buf sealed = { 0 }, plain = { 0 };

	(void)state;
	assert_int_equal(vault_seal(v, "ctx", "secret", 6, &sealed), 0);
	assert_int_equal(sealed.len, 6 + VAULT_OVERHEAD_BYTES);
	assert_null(memmem(sealed.data, sealed.len, "secret", 6));
	assert_int_equal(vault_open(v, "ctx", sealed.data, sealed.len, &plain),
			 0);
	assert_int_equal(plain.len, 6);
	assert_memory_equal(plain.data, "secret", 6);
	buf_deinit(&sealed);
	buf_deinit_secret(&plain);
	vault_free(v);
}

static void test_empty_and_appended(void **state)
{
	struct vault *v = vault(key_a);
	struct buf out = { 0 }, plain = { 0 };

	(void)state;
	assert_int_equal(buf_append_str(&out, "x"), 0);
	assert_int_equal(vault_seal(v, "", NULL, 0, &out), 0);
	assert_int_equal(out.len, 1 + VAULT_OVERHEAD_BYTES);
	assert_int_equal(vault_open(v, "", out.data + 1, out.len - 1, &plain),
			 0);
	assert_int_equal(plain.len, 0);
	buf_deinit(&out);
	buf_deinit(&plain);
	vault_free(v);
}

static void test_nonces_differ(void **state)
{
	struct vault *v = vault(key_a);
	struct buf a = { 0 }, b = { 0 };

	(void)state;
	assert_int_equal(vault_seal(v, "c", "same", 4, &a), 0);
	assert_int_equal(vault_seal(v, "c", "same", 4, &b), 0);
	assert_memory_not_equal(a.data, b.data, a.len);
	buf_deinit(&a);
	buf_deinit(&b);
	vault_free(v);
}

static void test_whatever_is_changed_is_refused(void **state)
{
	struct vault *v = vault(key_a), *other = vault(key_b);
	struct buf s = { 0 }, out = { 0 };

	(void)state;
	assert_int_equal(vault_seal(v, "ctx", "secret", 6, &s), 0);
	assert_int_equal(vault_open(v, "ctx2", s.data, s.len, &out),
			 VAULT_E_REFUSED);
	assert_int_equal(vault_open(other, "ctx", s.data, s.len, &out),
			 VAULT_E_REFUSED);
	for (size_t i = 0; i < s.len; i++) {
		s.data[i] ^= 1;
		assert_int_equal(vault_open(v, "ctx", s.data, s.len, &out),
				 VAULT_E_REFUSED);
		s.data[i] ^= 1;
		assert_int_equal(vault_open(v, "ctx", s.data, i, &out),
				 VAULT_E_REFUSED);
	}
	assert_int_equal(out.len, 0);
	buf_deinit(&s);
	buf_deinit(&out);
	vault_free(v);
	vault_free(other);
}

static void test_digest_depends_on_all(void **state)
{
	struct vault *v = vault(key_a), *other = vault(key_b);
	uint8_t a[VAULT_DIGEST_BYTES], b[VAULT_DIGEST_BYTES];

	(void)state;
	assert_int_equal(vault_digest(v, "x", "abc", 3, a), 0);
	assert_int_equal(vault_digest(v, "x", "abc", 3, b), 0);
	assert_memory_equal(a, b, sizeof(a));
	assert_int_equal(vault_digest(v, "xa", "bc", 2, b), 0);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_int_equal(vault_digest(other, "x", "abc", 3, b), 0);
	assert_memory_not_equal(a, b, sizeof(a));
	vault_free(v);
	vault_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_empty_and_appended),
		cmocka_unit_test(test_nonces_differ),
		cmocka_unit_test(test_whatever_is_changed_is_refused),
		cmocka_unit_test(test_digest_depends_on_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
